//! The rules of Grafana's dashboard linter, so far as they are about JSON; whether PromQL is valid is told by
//! Prometheus itself in `panels.rs`. The names are the linter's.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::tools::grafana;

/// One complaint for each rule that a dashboard breaks.
fn complaints(board: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut insist = |rule: &str, place: &str, holds: bool| {
        if !holds {
            found.insert(format!("{rule}: {place}"));
        }
    };
    let variables = board["templating"]["list"].as_array().cloned().unwrap_or_default();
    let variable = |name: &str| variables.iter().find(|one| one["name"] == name).cloned().unwrap_or_default();
    let source = variable("datasource");
    insist(
        "template-datasource-rule",
        "datasource",
        source["type"] == "datasource" && source["query"] == "prometheus" && source["label"] == "Data source",
    );
    for (name, label) in [("job", "Job"), ("instance", "Instance")] {
        let one = variable(name);
        let is_right = one["type"] == "query"
            && one["label"] == label
            && one["datasource"]["uid"] == "${datasource}"
            && one["multi"] == true
            && one["allValue"] == ".+";
        insist(&format!("template-{name}-rule"), name, is_right);
        let query = one["query"]["query"].as_str().unwrap_or_default();
        insist(
            "template-label-promql-rule",
            name,
            query.starts_with("label_values(") && query.ends_with(')'),
        );
        insist("template-on-time-change-reload-rule", name, one["refresh"] == 2);
    }
    insist("uneditable-dashboard-rule", "editable", board["editable"] == false);
    let panels = board["panels"].as_array().cloned().unwrap_or_default();
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let title = panel["title"].as_str().unwrap_or_default();
        let has_text = |key: &str| panel[key].as_str().is_some_and(|text| !text.is_empty());
        insist("panel-title-description-rule", title, has_text("title") && has_text("description"));
        insist("panel-datasource-rule", title, panel["datasource"]["uid"] == "${datasource}");
        let unit = panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap_or_default();
        insist("panel-units-rule", title, !unit.is_empty());
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        insist("panel-no-targets-rule", title, !targets.is_empty());
        for expression in targets.iter().map(|target| target["expr"].as_str().unwrap_or_default()) {
            target(expression, title, &mut insist);
        }
    }
    found
}

fn target(expression: &str, title: &str, insist: &mut impl FnMut(&str, &str, bool)) {
    for matcher in ["job", "instance"] {
        let wanted = format!("{matcher}=~\"${matcher}\"");
        let all = selectors(expression).all(|(_, selector)| selector.contains(&wanted));
        insist(&format!("target-{matcher}-rule"), title, all);
    }
    insist("target-rate-interval-rule", title, ranges(expression).all(|range| range == "$__rate_interval"));
    for (name, _) in
        selectors(expression).filter(|(name, _)| name.ends_with("_total") || name.ends_with("_bucket"))
    {
        let places: Vec<_> = expression.match_indices(name).map(|(at, _)| &expression[..at]).collect();
        let is_rated = places
            .iter()
            .all(|before| ["rate(", "irate(", "increase("].iter().any(|function| before.ends_with(function)));
        insist("target-counter-agg-rule", title, is_rated);
    }
}

/// Metrics with what stands in braces behind them.
pub(crate) fn selectors(expression: &str) -> impl Iterator<Item = (&str, &str)> {
    let opens = expression.match_indices('{').map(|(at, _)| at);
    opens.filter_map(|at| {
        let start = expression[..at].rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':')? + 1;
        let end = at + expression[at..].find('}')?;
        (start < at).then_some((&expression[start..at], &expression[at..end]))
    })
}

fn ranges(expression: &str) -> impl Iterator<Item = &str> {
    expression.split('[').skip(1).filter_map(|rest| rest.split(']').next())
}

fn boards() -> Vec<(String, Value)> {
    let files = fs::read_dir(grafana().join("dashboards")).expect("dashboards").flatten();
    let read = |path: std::path::PathBuf| {
        let text = fs::read_to_string(&path).expect("text");
        (path.display().to_string(), serde_json::from_str(&text).expect("JSON"))
    };
    files.map(|file| read(file.path())).collect()
}

#[test]
fn dashboards_keep_the_linters_rules() {
    let boards = boards();
    assert_eq!(boards.len(), 8);
    let found: Vec<_> = boards.iter().map(|(name, board)| (name, complaints(board))).collect();
    let broken: Vec<_> = found.iter().filter(|(_, complaints)| !complaints.is_empty()).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn what_is_spoiled_is_found() {
    let (_, sound) = boards().remove(0);
    let spoiled = [
        ("template-datasource-rule", "/templating/list/0/label"),
        ("template-job-rule", "/templating/list/1/allValue"),
        ("template-instance-rule", "/templating/list/2/multi"),
        ("template-label-promql-rule", "/templating/list/1/query/query"),
        ("template-on-time-change-reload-rule", "/templating/list/2/refresh"),
        ("uneditable-dashboard-rule", "/editable"),
        ("panel-title-description-rule", "/panels/1/description"),
        ("panel-datasource-rule", "/panels/1/datasource/uid"),
        ("panel-units-rule", "/panels/1/fieldConfig/defaults/unit"),
        ("panel-no-targets-rule", "/panels/1/targets"),
    ];
    for (rule, place) in spoiled {
        let mut board = sound.clone();
        *board.pointer_mut(place).unwrap_or_else(|| panic!("{place}")) = Value::Null;
        assert!(complaints(&board).iter().any(|said| said.starts_with(rule)), "{rule} was not missed");
    }
    for (rule, expression) in [
        ("target-job-rule", "rate(a_total{instance=~\"$instance\"}[$__rate_interval])"),
        ("target-instance-rule", "rate(a_total{job=~\"$job\"}[$__rate_interval])"),
        ("target-rate-interval-rule", "rate(a_total{job=~\"$job\",instance=~\"$instance\"}[5m])"),
        ("target-counter-agg-rule", "sum(a_total{job=~\"$job\",instance=~\"$instance\"})"),
    ] {
        let mut board = sound.clone();
        board["panels"][1]["targets"][0]["expr"] = expression.into();
        assert!(complaints(&board).iter().any(|said| said.starts_with(rule)), "{rule} was not missed");
    }
}
