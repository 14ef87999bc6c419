//! What a panel shows, as a small picture: enough for a person to see whether the expression says what the title
//! promises. It is not how Grafana draws it.

use std::fmt::Write as _;

use serde_json::Value;

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 150.0;
const COLOURS: [&str; 8] =
    ["#2b6cb0", "#c05621", "#2f855a", "#805ad5", "#b7791f", "#c53030", "#2c7a7b", "#4a5568"];

/// The points of one series.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

impl Line {
    /// From an answer of `query_range`; `legend` as Grafana takes it.
    pub(crate) fn of(series: &Value, legend: &str) -> Line {
        let labels = series["metric"].as_object().cloned().unwrap_or_default();
        let mut name = legend.to_owned();
        for (label, value) in &labels {
            name = name.replace(&format!("{{{{{label}}}}}"), value.as_str().unwrap_or_default());
        }
        let point = |pair: &Value| Some((pair[0].as_f64()?, pair[1].as_str()?.parse().ok()?));
        let points = series["values"].as_array().into_iter().flatten().filter_map(point);
        Line { name, points: points.filter(|(_, value): &(f64, f64)| value.is_finite()).collect() }
    }
}

/// One panel.
pub(crate) fn panel(title: &str, unit: &str, lines: &[Line]) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let (from, to) = points().fold((f64::MAX, f64::MIN), |(from, to), (at, _)| (from.min(*at), to.max(*at)));
    let top = points().fold(0.0_f64, |top, (_, value)| top.max(*value)).max(1e-9);
    let mut svg = format!(
        "<figure><figcaption>{title} <small>[{unit}] to {top:.4}</small></figcaption><svg width=\"{WIDTH}\" height=\"{HEIGHT}\">"
    );
    let mut legend = String::new();
    for (number, line) in lines.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let place = |(at, value): &(f64, f64)| {
            let x = (at - from) / (to - from).max(1e-9) * WIDTH;
            format!("{x:.1},{:.1} ", HEIGHT - value / top * (HEIGHT - 6.0) - 2.0)
        };
        let drawn: String = line.points.iter().map(place).collect();
        let _ = write!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{drawn}\"/>"
        );
        let last = line.points.last().map_or(f64::NAN, |(_, value)| *value);
        if number < 8 {
            let name = line.name.replace('<', "&lt;");
            let _ = write!(legend, "<span style=\"color:{colour}\">{name} {last:.4}</span> ");
        }
    }
    format!("{svg}</svg><div>{legend}</div></figure>\n")
}

/// A page of panels.
pub(crate) fn page(title: &str, panels: &str) -> String {
    format!(
        "<!doctype html><meta charset=\"utf-8\"><title>{title}</title><style>body{{font:12px sans-serif;margin:8px}}\
         figure{{display:inline-block;vertical-align:top;width:{WIDTH}px;margin:6px}}svg{{background:#f7f7f7}}\
         div{{font-size:10px}}figcaption{{font-weight:bold}}</style><h2>{title}</h2>{panels}\n"
    )
}
