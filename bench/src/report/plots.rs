//! The plots: latency and cost against rate, throughput against processors.

use std::path::Path;

use anyhow::anyhow;
use brokerx_bench::measured::Round;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::tables::{at, builds, median, processors, rates};

const SIZE: (u32, u32) = (720, 400);
const COLOURS: [RGBColor; 4] = [
    RGBColor(150, 150, 150),
    RGBColor(0, 90, 180),
    RGBColor(200, 80, 0),
    RGBColor(0, 130, 80),
];

/// A plot that was drawn.
pub(super) struct Plot {
    /// What it shows.
    pub(super) title: String,
    /// From where the report stands.
    pub(super) link: String,
}

/// A line of a plot, by build.
type Line = (String, Vec<(f64, f64)>);

/// Draws what there is something to draw of, into a folder.
pub(super) fn draw(rounds: &[Round], folder: &Path) -> anyhow::Result<Vec<Plot>> {
    let first = rounds.first().map_or("", |round| round.build.as_str());
    let builds = builds(rounds, first);
    let all = processors(rounds);
    let most = all.first().copied().unwrap_or(1);
    let by_rate = |figure: fn(&brokerx_bench::measured::Http) -> f64, name: &str| -> Vec<Line> {
        let line = |build: &&str| {
            let points = rates(rounds).into_iter().filter_map(|rate| {
                let value = median(rounds, (build, most), at(rate, figure))?;
                Some((f64::from(rate), value))
            });
            (format!("{build}{name}"), points.collect())
        };
        builds.iter().map(line).collect()
    };
    let mut plots = Vec::new();
    let mut plot = |file: &str, title: &str, axes: (&str, &str), lines: &[Line]| -> anyhow::Result<()> {
        let path = folder.join(file);
        let area = SVGBackend::new(&path, SIZE).into_drawing_area();
        chart(&area, title, axes, lines).map_err(|error| anyhow!("{file}: {error}"))?;
        let name = folder
            .file_name()
            .map_or_else(Default::default, |name| name.to_string_lossy());
        plots.push(Plot {
            title: title.to_owned(),
            link: format!("{name}/{file}"),
        });
        Ok(())
    };
    if !rates(rounds).is_empty() {
        let latency = by_rate(|http| http.latency.p95, "");
        plot("latency.svg", "p95 over HTTP", ("orders/s", "ms"), &latency)?;
        let cost = by_rate(|http| http.cost.processor_ms, "");
        plot("cost.svg", "Processor time per order", ("orders/s", "ms"), &cost)?;
    }
    if all.len() > 1 {
        let line = |build: &&str| {
            let points = all.iter().rev().filter_map(|processors| {
                let value = median(rounds, (build, *processors), |round| Some(round.pipeline_drained))?;
                Some((f64::from(*processors), value))
            });
            ((*build).to_owned(), points.collect())
        };
        let lines: Vec<Line> = builds.iter().map(line).collect();
        plot("throughput.svg", "Drained orders/s", ("processors", "orders/s"), &lines)?;
    }
    Ok(plots)
}

fn chart(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    title: &str,
    (x_axis, y_axis): (&str, &str),
    lines: &[Line],
) -> Result<(), Box<dyn std::error::Error>> {
    let points = || lines.iter().flat_map(|(_, points)| points);
    let x_max = points().map(|(x, _)| *x).fold(1.0, f64::max);
    let y_max = points().map(|(_, y)| *y).fold(0.1, f64::max) * 1.1;
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..x_max * 1.05, 0.0..y_max)?;
    chart
        .configure_mesh()
        .x_desc(x_axis)
        .y_desc(y_axis)
        .light_line_style(RGBColor(240, 240, 240))
        .draw()?;
    for ((name, points), colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        chart
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(3))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE)
        .border_style(RGBColor(200, 200, 200))
        .position(SeriesLabelPosition::UpperLeft)
        .draw()?;
    area.present()?;
    Ok(())
}
