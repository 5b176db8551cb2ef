//! Which file of a crate uses items of which other file.
//!
//! An edge goes to the file that defines the item, even when re-exports lie in between. A re-export by
//! itself makes no edge, and neither does `mod`: both say where something is found, not what is needed.
//! Names in the arguments of a macro are not seen, and unit tests are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::Visit;

use crate::graph::Graph;
use crate::modules::{Module, ModulePath, modules};

/// The edges between the files below a crate root such as `matcher/src/lib.rs`, named by their paths
/// from `root`.
///
/// # Errors
/// When a file cannot be read or parsed.
pub fn edges(root: &Path, crate_root: &Path) -> anyhow::Result<Graph> {
    let tree = Tree(modules(crate_root)?);
    let mut edges = Graph::new();
    let shown = |file: &PathBuf| file.strip_prefix(root).unwrap_or(file).display().to_string();
    for (path, module) in &tree.0 {
        let from = edges.entry(shown(&module.file)).or_default();
        for file in tree.needed(path, module) {
            from.insert(shown(file));
        }
    }
    for (file, needed) in &mut edges {
        needed.remove(file);
    }
    Ok(edges)
}

/// The roots of a crate: its library, programs, integration tests, examples and benchmarks.
///
/// # Errors
/// When a folder cannot be read.
pub fn crate_roots(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut roots: Vec<PathBuf> = ["src/lib.rs", "src/main.rs", "trials/main.rs"]
        .map(|root| folder.join(root))
        .into();
    for of_many in ["src/bin", "tests", "examples", "benches"] {
        let Ok(entries) = std::fs::read_dir(folder.join(of_many)) else {
            continue;
        };
        for entry in entries {
            let path = entry?.path();
            roots.extend(
                [path.join("main.rs"), path]
                    .into_iter()
                    .filter(|path| path.extension().is_some_and(|it| it == "rs")),
            );
        }
    }
    roots.retain(|root| root.is_file());
    Ok(roots)
}

struct Tree(BTreeMap<ModulePath, Module>);

/// Whether a name that a module is not seen to define is taken to be defined there: by a macro, say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Guess {
    Yes,
    No,
}

/// What a path leads to.
enum Found<'a> {
    Module(ModulePath),
    Item(&'a PathBuf),
    /// Another crate, or a name that does not lead into this one.
    Foreign,
}

impl Tree {
    /// The files of everything that a module names.
    fn needed(&self, at: &ModulePath, module: &Module) -> BTreeSet<&PathBuf> {
        let mut paths = Paths::default();
        module.items.iter().for_each(|item| paths.visit_item(item));
        let used = module.imported.iter().filter(|import| !import.handed_on);
        paths.0.extend(used.clone().map(|import| import.path.clone()));
        let mut needed = BTreeSet::new();
        for path in paths.0 {
            match self.resolve(at, &path, 0, Guess::Yes) {
                Found::Item(file) => drop(needed.insert(file)),
                // Importing a module makes no edge: what the code uses through it is a path of its own. Only
                // `use module::*` counts for the module's file.
                Found::Module(found) if used.clone().any(|import| import.name == "*" && import.path == path) => {
                    needed.extend(self.0.get(&found).map(|module| &module.file));
                }
                Found::Module(_) | Found::Foreign => {}
            }
        }
        needed
    }

    fn resolve(&self, from: &ModulePath, path: &[String], depth: usize, guess: Guess) -> Found<'_> {
        // A limit, because two re-exports may point at each other.
        if depth > 8 {
            return Found::Foreign;
        }
        let mut at = from.clone();
        let mut rest = path;
        let mut explicit = false;
        while let Some((first, behind)) = rest.split_first() {
            match first.as_str() {
                "crate" => at.clear(),
                "self" => {}
                "super" => drop(at.pop()),
                _ => break,
            }
            (rest, explicit) = (behind, true);
        }
        while let Some((name, behind)) = rest.split_first() {
            let mut child = at.clone();
            child.push(name.clone());
            if self.0.contains_key(&child) {
                (at, rest, explicit) = (child, behind, true);
                continue;
            }
            let Some(module) = self.0.get(&at) else {
                return Found::Foreign;
            };
            if module.defined.contains(name) {
                return Found::Item(&module.file);
            }
            let import = module.imported.iter().find(|import| import.name == *name);
            if let Some(import) = import.filter(|import| import.path.as_slice() != path) {
                let whole: Vec<String> = import.path.iter().chain(behind).cloned().collect();
                return self.resolve(&at, &whole, depth + 1, guess);
            }
            for glob in module.imported.iter().filter(|import| import.name == "*") {
                let whole: Vec<String> = glob.path.iter().chain(rest).cloned().collect();
                if let Found::Item(file) = self.resolve(&at, &whole, depth + 1, Guess::No) {
                    return Found::Item(file);
                }
            }
            // Nothing was found. A path that begins in this crate names an item that a macro defines; any other
            // name comes from elsewhere.
            return if explicit && guess == Guess::Yes {
                Found::Item(&module.file)
            } else {
                Found::Foreign
            };
        }
        Found::Module(at)
    }
}

/// Collects every path in the code.
#[derive(Default)]
struct Paths(Vec<Vec<String>>);

impl<'ast> Visit<'ast> for Paths {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.0
            .push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        syn::visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, _: &'ast syn::ItemMod) {}
}
