//! What operators look at, looked at: rules by promtool, dashboards against their linter's rules and Grafana's types,
//! every expression by a real Prometheus, every alert by breaking what it watches.
#![forbid(unsafe_code)]

mod alerts;
mod draw;
mod files;
mod lint;
mod panels;
mod tools;
