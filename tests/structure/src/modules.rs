//! The modules of one crate root and the files that they are in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use proc_macro2::TokenTree;
use syn::{Attribute, Item, UseTree};

/// The place of a module in its crate: the names on the way from the root.
pub(crate) type ModulePath = Vec<String>;

/// A module: its own file, or a part of its parent's.
pub(crate) struct Module {
    /// The file that it is in.
    pub(crate) file: PathBuf,
    /// Its items, except inline modules, which are modules of their own here.
    pub(crate) items: Vec<Item>,
    /// The names that it defines.
    pub(crate) defined: Vec<String>,
    /// The names that it imports or re-exports, and the paths behind them; `*` for everything in a path.
    pub(crate) imported: Vec<Import>,
}

/// One name of a `use`.
#[derive(Clone, Debug)]
pub(crate) struct Import {
    /// The name that it has here.
    pub(crate) name: String,
    /// The path that it stands for.
    pub(crate) path: Vec<String>,
    /// Whether it is a re-export, which says where something is found, not what is needed.
    pub(crate) handed_on: bool,
}

/// All modules below a crate root. What is compiled only for unit tests is left out.
pub(crate) fn modules(root: &Path) -> anyhow::Result<BTreeMap<ModulePath, Module>> {
    let mut all = BTreeMap::new();
    let folder = root.parent().context("a root without a folder")?;
    add_file(root, folder, Vec::new(), &mut all)?;
    Ok(all)
}

fn add_file(
    file: &Path,
    children: &Path,
    path: ModulePath,
    all: &mut BTreeMap<ModulePath, Module>,
) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let parsed = syn::parse_file(&text).with_context(|| file.display().to_string())?;
    add(file, children, path, parsed.items, all)
}

fn add(
    file: &Path,
    children: &Path,
    path: ModulePath,
    items: Vec<Item>,
    all: &mut BTreeMap<ModulePath, Module>,
) -> anyhow::Result<()> {
    let mut module = Module {
        file: file.to_owned(),
        items: Vec::new(),
        defined: Vec::new(),
        imported: Vec::new(),
    };
    for item in items {
        let Item::Mod(child) = item else {
            module.defined.extend(names_of(&item));
            if let Item::Use(import) = &item {
                let handed_on = !matches!(import.vis, syn::Visibility::Inherited);
                imports(&import.tree, &mut Vec::new(), handed_on, &mut module.imported);
            }
            module.items.push(item);
            continue;
        };
        if is_for_tests(&child.attrs) {
            continue;
        }
        let name = child.ident.to_string();
        let mut child_path = path.clone();
        child_path.push(name.clone());
        let below = children.join(&name);
        match child.content {
            Some((_, items)) => add(file, &below, child_path, items, all)?,
            None => {
                let named = path_attribute(&child.attrs).map(|named| file.with_file_name(named));
                let candidates = named
                    .into_iter()
                    .chain([below.with_extension("rs"), below.join("mod.rs")]);
                let Some(found) = candidates.into_iter().find(|candidate| candidate.is_file()) else {
                    bail!("{} has no file for its module {name}", file.display());
                };
                // The children of a `mod.rs` lie beside it; those of any other file in a folder of its name.
                let is_folder = found.file_name().is_some_and(|name| name == "mod.rs");
                let children = found.parent().filter(|_| is_folder).unwrap_or(&below).to_owned();
                add_file(&found, &children, child_path, all)?;
            }
        }
    }
    all.insert(path, module);
    Ok(())
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let only_test = |list: &syn::MetaList| list.tokens.to_string() == "test";
        attribute.path().is_ident("cfg") && attribute.meta.require_list().is_ok_and(only_test)
    })
}

fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    let attribute = attributes.iter().find(|attribute| attribute.path().is_ident("path"))?;
    match &attribute.meta.require_name_value().ok()?.value {
        syn::Expr::Lit(literal) => match &literal.lit {
            syn::Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

/// The names that an item defines; of a macro's call, all that stand in it openly.
fn names_of(item: &Item) -> Vec<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => match &item.ident {
            Some(name) => name,
            None => return item.mac.tokens.clone().into_iter().filter_map(ident).collect(),
        },
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return Vec::new(),
    };
    vec![name.to_string()]
}

fn ident(token: TokenTree) -> Option<String> {
    match token {
        TokenTree::Ident(name) => Some(name.to_string()),
        _ => None,
    }
}

fn imports(tree: &UseTree, before: &mut Vec<String>, handed_on: bool, all: &mut Vec<Import>) {
    let mut leaf = |name: String, last: Option<String>| {
        let path = before
            .iter()
            .cloned()
            .chain(last.filter(|last| last != "self"))
            .collect();
        all.push(Import { name, path, handed_on });
    };
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            imports(&path.tree, before, handed_on, all);
            before.pop();
        }
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            let shown = if name == "self" {
                before.last().cloned().unwrap_or_default()
            } else {
                name.clone()
            };
            leaf(shown, Some(name));
        }
        UseTree::Rename(rename) => leaf(rename.rename.to_string(), Some(rename.ident.to_string())),
        UseTree::Glob(_) => leaf("*".to_owned(), None),
        UseTree::Group(group) => {
            for tree in &group.items {
                imports(tree, before, handed_on, all);
            }
        }
    }
}
