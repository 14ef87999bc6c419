//! The classic dashboard model, as much of it as these dashboards use. Every panel reads from `$datasource`, is
//! narrowed to `$job` and `$instance`, has a title, a description and a unit.

use serde_json::{Value, json};

/// The oldest Grafana whose model this is: 10.4.
const SCHEMA_VERSION: u32 = 39;
/// Width of the grid.
const COLUMNS: u32 = 24;
/// In every selector that a query writes as `{@}` or `{@,...}`.
const MATCHERS: &str = r#"job=~"$job",instance=~"$instance""#;

/// One page.
pub struct Dashboard {
    /// Stable: links and alerts point at it.
    pub uid: &'static str,
    /// What it is called.
    pub title: &'static str,
    /// Which question it answers.
    pub description: &'static str,
    /// From top to bottom.
    pub rows: Vec<Row>,
}

/// A stripe of panels.
pub struct Row {
    /// What it is about.
    pub title: &'static str,
    /// From left to right; they wrap.
    pub panels: Vec<Panel>,
}

/// One picture.
pub struct Panel {
    title: String,
    description: String,
    kind: Kind,
    unit: &'static str,
    queries: Vec<Query>,
    steps: Vec<(Option<f64>, &'static str)>,
    max: Option<f64>,
    width: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Graph,
    Stack,
    Number,
    Heat,
}

/// One expression and how its series are called.
pub struct Query {
    /// As written here, `{@}` for the matchers.
    expression: String,
    legend: &'static str,
}

/// A query.
#[must_use]
pub fn query(expression: impl Into<String>, legend: &'static str) -> Query {
    Query { expression: expression.into(), legend }
}

impl Query {
    fn text(&self) -> String {
        self.expression.replace("{@", &format!("{{{MATCHERS}"))
    }
}

/// Lines over time.
#[must_use]
pub fn graph(title: &str, unit: &'static str, description: &str, queries: Vec<Query>) -> Panel {
    Panel::new(Kind::Graph, title, unit, description, queries)
}

/// Areas over time that add up.
#[must_use]
pub fn stack(title: &str, unit: &'static str, description: &str, queries: Vec<Query>) -> Panel {
    Panel::new(Kind::Stack, title, unit, description, queries)
}

/// The newest value, large.
#[must_use]
pub fn number(title: &str, unit: &'static str, description: &str, queries: Vec<Query>) -> Panel {
    let panel = Panel::new(Kind::Number, title, unit, description, queries);
    Panel { width: 4, ..panel }
}

/// How a duration spreads over time.
#[must_use]
pub fn heat(title: &str, description: &str, expression: &str) -> Panel {
    Panel::new(Kind::Heat, title, "s", description, vec![query(expression, "{{le}}")])
}

impl Panel {
    fn new(kind: Kind, title: &str, unit: &'static str, description: &str, queries: Vec<Query>) -> Self {
        let (title, description) = (title.to_owned(), description.to_owned());
        Self { title, description, kind, unit, queries, steps: vec![(None, "green")], max: None, width: 8 }
    }

    /// Turns to these colours from these values on.
    #[must_use]
    pub fn steps(mut self, steps: &[(f64, &'static str)]) -> Self {
        self.steps.extend(steps.iter().map(|(value, colour)| (Some(*value), *colour)));
        self
    }

    /// Good from this value on, bad below.
    #[must_use]
    pub fn good_from(mut self, value: f64) -> Self {
        self.steps = vec![(None, "red"), (Some(value), "green")];
        self
    }

    /// Of 24.
    #[must_use]
    pub fn width(self, width: u32) -> Self {
        Self { width, ..self }
    }

    /// The end of the scale.
    #[must_use]
    pub fn max(self, max: f64) -> Self {
        Self { max: Some(max), ..self }
    }

    /// What it is called.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The expressions as Grafana gets them.
    pub fn expressions(&self) -> impl Iterator<Item = String> + '_ {
        self.queries.iter().map(Query::text)
    }

    /// The expressions with the names of their series, and whether it is a number or a graph, for a drawing.
    pub fn drawn(&self) -> impl Iterator<Item = (String, &'static str)> + '_ {
        self.queries.iter().map(|query| (query.text(), query.legend))
    }

    /// The unit of its scale, as Grafana calls it.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        self.unit
    }

    fn json(&self, id: u32, at: (u32, u32), height: u32) -> Value {
        let is_heat = self.kind == Kind::Heat;
        let targets: Vec<Value> = self
            .queries
            .iter()
            .zip('A'..)
            .map(|(query, letter)| {
                json!({
                    "refId": letter.to_string(),
                    "datasource": datasource(),
                    "expr": query.text(),
                    "legendFormat": query.legend,
                    "range": true,
                    "format": if is_heat { "heatmap" } else { "time_series" },
                })
            })
            .collect();
        let steps: Vec<Value> =
            self.steps.iter().map(|(value, color)| json!({ "value": value, "color": color })).collect();
        let mut defaults = json!({
            "unit": self.unit,
            "min": 0,
            "thresholds": { "mode": "absolute", "steps": steps },
        });
        if let Some(max) = self.max {
            defaults["max"] = json!(max);
        }
        if matches!(self.kind, Kind::Graph | Kind::Stack) {
            let is_stack = self.kind == Kind::Stack;
            defaults["custom"] = json!({
                "drawStyle": "line",
                "lineWidth": 1,
                "fillOpacity": if is_stack { 40 } else { 8 },
                "showPoints": "never",
                "spanNulls": false,
                "stacking": { "mode": if is_stack { "normal" } else { "none" }, "group": "A" },
            });
        }
        json!({
            "id": id,
            "type": self.kind.plugin(),
            "title": self.title,
            "description": self.description,
            "datasource": datasource(),
            "gridPos": { "x": at.0, "y": at.1, "w": self.width, "h": height },
            "targets": targets,
            "fieldConfig": { "defaults": defaults, "overrides": [] },
            "options": self.kind.options(),
        })
    }
}

impl Kind {
    fn plugin(self) -> &'static str {
        match self {
            Self::Graph | Self::Stack => "timeseries",
            Self::Number => "stat",
            Self::Heat => "heatmap",
        }
    }

    fn options(self) -> Value {
        match self {
            Self::Graph | Self::Stack => json!({
                "legend": { "displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": [] },
                "tooltip": { "mode": "multi", "sort": "desc" },
            }),
            Self::Number => json!({
                "colorMode": "value",
                "graphMode": "area",
                "justifyMode": "auto",
                "orientation": "auto",
                "textMode": "auto",
                "wideLayout": true,
                "showPercentChange": false,
                "reduceOptions": { "calcs": ["lastNotNull"], "fields": "", "values": false },
            }),
            Self::Heat => json!({
                "calculate": false,
                "yAxis": { "unit": "s" },
                "color": { "mode": "scheme", "scheme": "Oranges", "steps": 32, "exponent": 0.5, "fill": "dark-orange", "reverse": false },
                "cellGap": 1,
                "legend": { "show": true },
                "tooltip": { "mode": "single", "yHistogram": false, "showColorScale": false },
                "exemplars": { "color": "rgba(255,0,255,0.7)" },
                "filterValues": { "le": 1e-9 },
                "rowsFrame": { "layout": "auto" },
            }),
        }
    }
}

fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

impl Dashboard {
    /// Every panel.
    pub fn panels(&self) -> impl Iterator<Item = &Panel> {
        self.rows.iter().flat_map(|row| &row.panels)
    }

    /// As Grafana reads it.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["signalbox"],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": false,
            "graphTooltip": 1,
            "refresh": "10s",
            "time": { "from": "now-1h", "to": "now" },
            "timezone": "browser",
            "weekStart": "",
            "fiscalYearStartMonth": 0,
            "annotations": { "list": [] },
            "links": [{
                "type": "dashboards", "title": "Signalbox", "tags": ["signalbox"], "asDropdown": true,
                "includeVars": true, "keepTime": true, "targetBlank": false, "icon": "", "tooltip": "",
                "url": "",
            }],
            "templating": { "list": [
                {
                    "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
                    "hide": 0, "refresh": 1, "multi": false, "includeAll": false, "options": [],
                    "regex": "", "skipUrlSync": false,
                },
                variable("job", "Job", "label_values(signalbox_build_info, job)"),
                variable("instance", "Instance", "label_values(signalbox_build_info{job=~\"$job\"}, instance)"),
            ] },
            "panels": self.panels_json(),
        })
    }

    fn panels_json(&self) -> Vec<Value> {
        let (mut panels, mut id, mut y) = (Vec::new(), 0, 0);
        for row in &self.rows {
            id += 1;
            panels.push(json!({
                "id": id, "type": "row", "title": row.title, "collapsed": false, "panels": [],
                "gridPos": { "x": 0, "y": y, "w": COLUMNS, "h": 1 },
            }));
            y += 1;
            let is_numbers = row.panels.iter().all(|panel| panel.kind == Kind::Number);
            let height = if is_numbers { 4 } else { 8 };
            let mut x = 0;
            for panel in &row.panels {
                if x + panel.width > COLUMNS {
                    (x, y) = (0, y + height);
                }
                id += 1;
                panels.push(panel.json(id, (x, y), height));
                x += panel.width;
            }
            y += height;
        }
        panels
    }
}

fn variable(name: &str, label: &str, query: &str) -> Value {
    json!({
        "name": name, "label": label, "type": "query", "datasource": datasource(),
        "query": { "query": query, "refId": "StandardVariableQuery" },
        "multi": true, "includeAll": true, "allValue": ".+", "refresh": 2, "sort": 1,
        "hide": 0, "skipUrlSync": false, "regex": "", "options": [],
        "current": { "selected": true, "text": ["All"], "value": ["$__all"] },
    })
}
