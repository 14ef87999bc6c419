//! The report as one HTML file that needs nothing else: style, script and figures stand in it, and its content
//! policy lets it load nothing.
//!
//! `page.html` is the page with its gaps, `style.css` its looks, `draw.js` the shapes that charts are made of,
//! `page.js` the charts. The figures are the JSON report itself, so both say the same.

use super::Report;
use super::junit::escape;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
const DRAW: &str = include_str!("draw.js");
const SCRIPT: &str = include_str!("page.js");

/// The whole page.
pub fn render(report: &Report) -> serde_json::Result<String> {
    // Inside a script element only `</` and `<!--` could end or confuse it; JSON may write `<` differently.
    let data = serde_json::to_string(report)?.replace('<', "\\u003c");
    let title = format!("{}: load test report", escape(&report.load.profile));
    let script = format!("{DRAW}{SCRIPT}");
    let mut page = String::with_capacity(PAGE.len() + STYLE.len() + script.len() + data.len());
    let mut rest = PAGE;
    // One pass, so that nothing in the figures is taken for a gap.
    while let Some((before, (gap, after))) =
        rest.split_once("{{").and_then(|(before, from)| Some((before, from.split_once("}}")?)))
    {
        page.push_str(before);
        page.push_str(match gap {
            "title" => &title,
            "style" => STYLE,
            "script" => &script,
            _ => &data,
        });
        rest = after;
    }
    page.push_str(rest);
    Ok(page)
}
