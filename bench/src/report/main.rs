//! `brokerx-report`: puts rounds of several builds side by side, as tables and plots in `docs/performance.md`.
//!
//! What stands between the two markers of that file is replaced; the rest is left as it is. The rounds are files that
//! `./brokerx bench --append-to` has written; `bench/compare.sh` makes them, of two builds in turns.

mod plots;
mod tables;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use brokerx_bench::measured::Round;
use clap::Parser;

const BEGIN: &str = "<!-- measured: brokerx-report writes this part -->";
const END: &str = "<!-- end of what was measured -->";

/// Which rounds, and where the report goes.
#[derive(Parser)]
struct Options {
    /// Files of rounds, a line of JSON each.
    #[arg(required = true)]
    rounds: Vec<PathBuf>,
    /// The build that the others are compared with.
    #[arg(long)]
    baseline: String,
    /// The report; plots go into a folder of its name beside it.
    #[arg(long, default_value = "docs/performance.md")]
    out: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let mut rounds = Vec::new();
    for path in &options.rounds {
        rounds.extend(read(path).with_context(|| path.display().to_string())?);
    }
    ensure!(
        rounds.iter().any(|round| round.build == options.baseline),
        "no round is of {:?}",
        options.baseline
    );
    let folder = options.out.with_extension("");
    fs::create_dir_all(&folder)?;
    let plots = plots::draw(&rounds, &folder)?;
    let measured = tables::markdown(&rounds, &options.baseline, &plots);
    let before = fs::read_to_string(&options.out).with_context(|| options.out.display().to_string())?;
    fs::write(&options.out, replaced(&before, &measured)?)?;
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<Vec<Round>> {
    let text = fs::read_to_string(path)?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// A report with another measured part.
fn replaced(report: &str, measured: &str) -> anyhow::Result<String> {
    let (before, rest) = report
        .split_once(BEGIN)
        .context("the report has no beginning of what was measured")?;
    let (_, after) = rest
        .split_once(END)
        .context("the report has no end of what was measured")?;
    Ok(format!("{before}{BEGIN}\n{measured}{END}{after}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use brokerx_bench::measured::{Http, PerOrder, Percentiles};

    use super::*;

    fn percentiles(p50: f64) -> Percentiles {
        Percentiles {
            p50,
            p95: p50 * 2.0,
            p99: p50 * 3.0,
            measured: 100,
            failed: 0,
        }
    }

    fn round(build: &str, processors: u32, slowness: f64) -> Round {
        let http = [300, 600].map(|rate| Http {
            rate,
            latency: percentiles(slowness),
            cost: PerOrder {
                processor_ms: slowness / 2.0,
                by_process: BTreeMap::from([("kafka".to_owned(), slowness / 2.0)]),
                ..PerOrder::default()
            },
        });
        Round {
            build: build.to_owned(),
            processors,
            rate: 2_000,
            ceiling: percentiles(1.0),
            pipeline: percentiles(slowness),
            ceiling_drained: 100_000.0,
            pipeline_drained: 40_000.0 / slowness,
            http: http.into(),
        }
    }

    #[test]
    fn what_was_measured_is_replaced_and_the_rest_stays() {
        let report = format!("# Title\n{BEGIN}\nold\n{END}\nwords\n");
        let expected = format!("# Title\n{BEGIN}\nnew\n{END}\nwords\n");
        assert_eq!(replaced(&report, "new\n").unwrap(), expected);
        assert!(replaced("nothing", "new").is_err());
    }

    #[test]
    fn builds_are_compared_by_the_medians_of_their_rounds() {
        let rounds = [
            round("old", 2, 40.0),
            round("new", 2, 10.0),
            round("old", 2, 44.0),
            round("new", 2, 1_000.0),
            round("old", 2, 42.0),
            round("new", 2, 12.0),
        ];
        let report = tables::markdown(&rounds, "old", &[]);
        let row = |start: &str| report.lines().find(|line| line.starts_with(start)).unwrap().to_owned();
        // A third of the baseline's 42 ms would be 14: the outlier of one round decides nothing.
        assert!(
            row("| 300/s | new |").contains("| 12.0 (0.29) | 24.0 (0.29) |"),
            "{report}"
        );
        assert!(row("| 2 | old |").contains("| 952 |"), "{report}");
    }

    #[test]
    fn plots_are_drawn_where_there_is_something_to_draw() {
        let folder = tempfile::tempdir().unwrap();
        let of_one = [round("old", 2, 40.0), round("new", 2, 10.0)];
        let drawn = |rounds: &[Round]| -> Vec<String> {
            let plots = plots::draw(rounds, folder.path()).unwrap();
            let file = |plot: plots::Plot| plot.link.rsplit('/').next().unwrap_or_default().to_owned();
            plots.into_iter().map(file).collect()
        };
        assert_eq!(drawn(&of_one), ["latency.svg", "cost.svg"]);
        let of_two = [of_one.to_vec(), vec![round("new", 1, 20.0), round("old", 1, 80.0)]].concat();
        assert_eq!(drawn(&of_two), ["latency.svg", "cost.svg", "throughput.svg"]);
        let svg = fs::read_to_string(folder.path().join("throughput.svg")).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("old") && svg.contains("new"));
    }
}
