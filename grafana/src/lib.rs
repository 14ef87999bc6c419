//! What operators look at, as code. The catalogue of the switch says which metrics there are; this crate turns it
//! into files that Prometheus and Grafana read. The files are checked in, and a test fails when they are not what
//! this code writes.
#![forbid(unsafe_code)]

/// Every generated file: its path in this folder and its content.
#[must_use]
pub fn files() -> Vec<(String, String)> {
    vec![("METRICS.md".to_owned(), switch::catalogue::reference())]
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    #[test]
    fn the_files_are_what_this_code_writes() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        for (name, content) in super::files() {
            let found = fs::read_to_string(folder.join(&name)).unwrap_or_default();
            assert!(found == content, "grafana/{name} is not up to date: run `make grafana`");
        }
    }
}
