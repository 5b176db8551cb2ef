//! Rounds as tables: medians over the rounds of each build.

use std::collections::BTreeSet;
use std::fmt::Write;

use brokerx_bench::measured::{Http, Round};

use super::plots::Plot;

/// The builds in the order in which they came, the baseline first.
pub(super) fn builds<'a>(rounds: &'a [Round], baseline: &'a str) -> Vec<&'a str> {
    let mut builds = vec![baseline];
    for round in rounds {
        if !builds.contains(&round.build.as_str()) {
            builds.push(&round.build);
        }
    }
    builds
}

/// The numbers of processors that a system had, the most first.
pub(super) fn processors(rounds: &[Round]) -> Vec<u32> {
    let all: BTreeSet<u32> = rounds.iter().map(|round| round.processors).collect();
    all.into_iter().rev().collect()
}

/// The rates over HTTP.
pub(super) fn rates(rounds: &[Round]) -> BTreeSet<u32> {
    let all = rounds.iter().flat_map(|round| &round.http);
    all.map(|http| http.rate).collect()
}

/// The median of a figure over the rounds of a build; none when there is no round.
pub(super) fn median(
    rounds: &[Round],
    (build, processors): (&str, u32),
    figure: impl Fn(&Round) -> Option<f64>,
) -> Option<f64> {
    let of_build = rounds
        .iter()
        .filter(|round| round.build == build && round.processors == processors);
    let mut figures: Vec<f64> = of_build.filter_map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}

/// A figure of the orders over HTTP at a rate.
pub(super) fn at(rate: u32, figure: impl Fn(&Http) -> f64) -> impl Fn(&Round) -> Option<f64> {
    move |round| round.http.iter().find(|http| http.rate == rate).map(&figure)
}

/// Everything, as Markdown.
pub(super) fn markdown(rounds: &[Round], baseline: &str, plots: &[Plot]) -> String {
    let mut text = String::new();
    let most = processors(rounds).first().copied().unwrap_or(1);
    let builds = builds(rounds, baseline);
    let count = |build: &str| {
        rounds
            .iter()
            .filter(|round| round.build == build && round.processors == most)
            .count()
    };
    let counted: Vec<_> = builds
        .iter()
        .map(|build| format!("{build}: {}", count(build)))
        .collect();
    let _ = writeln!(
        text,
        "\nRounds, in turns, on {most} processors: {}. Medians; behind a figure, what it is of the first build's.\n",
        counted.join(", ")
    );
    over_http(&mut text, rounds, &builds, most);
    by_process(&mut text, rounds, &builds, most);
    drained(&mut text, rounds, &builds);
    for plot in plots {
        let _ = writeln!(text, "![{}]({})\n", plot.title, plot.link);
    }
    text
}

type Figure = fn(&Http) -> f64;

fn over_http(text: &mut String, rounds: &[Round], builds: &[&str], processors: u32) {
    const FIGURES: [(&str, Figure); 8] = [
        ("p50 ms", |http| http.latency.p50),
        ("p95 ms", |http| http.latency.p95),
        ("p99 ms", |http| http.latency.p99),
        ("processor ms per order", |http| http.cost.processor_ms),
        ("switches", |http| http.cost.switches),
        ("requests to Kafka", |http| http.cost.requests),
        ("kB in Kafka", |http| http.cost.kafka_bytes / 1e3),
        ("kB in PostgreSQL", |http| http.cost.database_bytes / 1e3),
    ];
    let _ = writeln!(text, "**Orders over HTTP, from when they were due to their outcome**\n");
    let names: Vec<_> = FIGURES.iter().map(|(name, _)| *name).collect();
    let _ = writeln!(text, "| rate | build | {} | failed |", names.join(" | "));
    let _ = writeln!(text, "|---|---|{}", "---|".repeat(names.len() + 1));
    for rate in rates(rounds) {
        for build in builds {
            let cells = FIGURES.iter().map(|(_, figure)| {
                let own = median(rounds, (build, processors), at(rate, figure));
                let of_first = median(rounds, (builds[0], processors), at(rate, figure));
                cell(own, of_first.filter(|_| *build != builds[0]))
            });
            let cells: Vec<_> = cells.collect();
            let failed = median(rounds, (build, processors), at(rate, |http| http.latency.failed as f64));
            let _ = writeln!(
                text,
                "| {rate}/s | {build} | {} | {} |",
                cells.join(" | "),
                failed.unwrap_or_default()
            );
        }
    }
    text.push('\n');
}

fn by_process(text: &mut String, rounds: &[Round], builds: &[&str], processors: u32) {
    let all = rounds.iter().flat_map(|round| &round.http);
    let names: BTreeSet<&String> = all.flat_map(|http| http.cost.by_process.keys()).collect();
    let list: Vec<_> = names.iter().map(|name| name.as_str()).collect();
    let _ = writeln!(text, "**Processor time per order by process, in ms**\n");
    let _ = writeln!(text, "| rate | build | {} |", list.join(" | "));
    let _ = writeln!(text, "|---|---|{}", "---|".repeat(list.len()));
    for rate in rates(rounds) {
        for build in builds {
            let cells = list.iter().map(|name| {
                let of_process = |http: &Http| http.cost.by_process.get(*name).copied().unwrap_or_default();
                cell(median(rounds, (build, processors), at(rate, of_process)), None)
            });
            let _ = writeln!(
                text,
                "| {rate}/s | {build} | {} |",
                cells.collect::<Vec<_>>().join(" | ")
            );
        }
    }
    text.push('\n');
}

fn drained(text: &mut String, rounds: &[Round], builds: &[&str]) {
    let _ = writeln!(text, "**From command to reply, beside three empty hops**\n");
    let _ = writeln!(
        text,
        "| processors | build | ceiling p95 ms | p50 ms | p95 ms | drained orders/s | ceiling records/s | share |"
    );
    let _ = writeln!(text, "|---|---|---|---|---|---|---|---|");
    for processors in processors(rounds) {
        for build in builds {
            let of = |figure: fn(&Round) -> f64| median(rounds, (build, processors), |round| Some(figure(round)));
            let Some(orders) = of(|round| round.pipeline_drained) else {
                continue;
            };
            let _ = writeln!(
                text,
                "| {processors} | {build} | {} | {} | {} | {orders:.0} | {:.0} | {:.1} % |",
                cell(of(|round| round.ceiling.p95), None),
                cell(of(|round| round.pipeline.p50), None),
                cell(of(|round| round.pipeline.p95), None),
                of(|round| round.ceiling_drained).unwrap_or_default(),
                of(|round| 100.0 * round.pipeline_drained / round.ceiling_drained).unwrap_or_default(),
            );
        }
    }
    text.push('\n');
}

/// A figure, and what it is of another.
fn cell(figure: Option<f64>, of: Option<f64>) -> String {
    let Some(figure) = figure else {
        return "-".to_owned();
    };
    let shown = match figure {
        small if small < 10.0 => format!("{small:.2}"),
        large if large >= 1_000.0 => format!("{large:.0}"),
        middle => format!("{middle:.1}"),
    };
    match of.filter(|of| *of > 0.0) {
        Some(of) => format!("{shown} ({:.2})", figure / of),
        None => shown,
    }
}
