//! Reads manifests and sources: what the compiler does not see.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// Crates and what they may depend on inside the workspace.
const MAY_KNOW: [(&str, &[&str]); 9] = [
    ("codecs", &[]),
    ("switch/authorizer", &["codecs"]),
    ("switch", &["authorizer", "codecs", "hsm"]),
    ("hsm", &["devtoken"]),
    ("hsm/devtoken", &[]),
    ("loadtest", &["authorizer", "codecs", "hsm", "switch"]),
    ("grafana", &["switch"]),
    ("tests/sim", &["authorizer", "codecs"]),
    ("benches", &["authorizer", "codecs", "devtoken", "hsm", "switch", "loadtest"]),
];

/// Everything that is a crate of this workspace, by package name.
const OURS: [&str; 10] =
    ["authorizer", "benches", "codecs", "devtoken", "grafana", "hsm", "loadtest", "sim", "switch", "tests"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
}

/// Every file of the project, relative to its root: not what builds and tools left behind.
fn files() -> Vec<(String, PathBuf)> {
    const FOREIGN: [&str; 8] =
        [".git", "target", ".venv", "__pycache__", "artifacts", "corpus", "node_modules", ".prometheus"];
    fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
        for path in fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path()) {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() && !path.is_symlink() {
                if !FOREIGN.contains(&name) {
                    walk(&path, into);
                }
            } else {
                into.push(path);
            }
        }
    }
    let root = root();
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    let relative = |path: PathBuf| (path.strip_prefix(&root).expect("below").display().to_string(), path);
    paths.into_iter().map(relative).collect()
}

fn sources(below: &str) -> Vec<(String, String)> {
    let wanted =
        |name: &String| name.starts_with(below) && Path::new(name).extension().is_some_and(|e| e == "rs");
    let found: Vec<_> = files().into_iter().filter(|(name, _)| wanted(name)).collect();
    assert!(!found.is_empty(), "no sources below {below}");
    found.into_iter().map(|(name, path)| (name, fs::read_to_string(path).expect("UTF-8"))).collect()
}

/// Fails with every complaint at once.
fn insist(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// Names of the workspace's own crates in the dependency tables of a manifest.
fn workspace_dependencies(manifest: &str) -> BTreeSet<String> {
    let manifest: Table = manifest.parse().expect("a manifest");
    let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
    let names = tables.iter().filter_map(|table| manifest.get(*table)).filter_map(Value::as_table);
    names.flat_map(Table::keys).filter(|name| OURS.contains(&name.as_str())).cloned().collect()
}

#[test]
fn crates_know_only_what_they_may() {
    let mut complaints = Vec::new();
    for (folder, allowed) in MAY_KNOW {
        let manifest = format!("{folder}/Cargo.toml");
        if !root().join(&manifest).exists() {
            // A crate that is planned and not there yet; the workspace itself says which must be.
            let members = read("Cargo.toml").parse::<Table>().expect("a manifest");
            let members = members["workspace"]["members"].as_array().expect("members").clone();
            assert!(!members.iter().any(|member| member.as_str() == Some(folder)), "{manifest} is missing");
            continue;
        }
        let known = workspace_dependencies(&read(&manifest));
        let surplus = known.iter().filter(|name| !allowed.contains(&name.as_str()));
        complaints.extend(surplus.map(|name| format!("{folder} must not depend on {name}")));
    }
    insist(&complaints);
}

#[test]
fn the_pure_crates_are_no_std_and_stay_so() {
    let mut complaints = Vec::new();
    for folder in ["codecs", "switch/authorizer"] {
        if !read(&format!("{folder}/src/lib.rs")).contains("#![no_std]") {
            complaints.push(format!("{folder} is not no_std"));
        }
        for (name, text) in sources(&format!("{folder}/src")) {
            complaints.extend(admits_std(&name, &text));
        }
    }
    insist(&complaints);
}

/// `extern crate std` is for tests only.
fn admits_std(name: &str, text: &str) -> Option<String> {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let admitted = lines.iter().enumerate().find(|(at, line)| {
        line.starts_with("extern crate std") && (*at == 0 || lines[at - 1] != "#[cfg(test)]")
    });
    admitted.map(|(at, _)| format!("{name}:{} re-admits std outside tests", at + 1))
}

#[test]
fn the_authorizer_imports_only_values() {
    let mut complaints = Vec::new();
    for (name, text) in sources("switch/authorizer/src") {
        for (number, line) in product_lines(&text) {
            for path in line.match_indices("codecs::").map(|(at, _)| &line[at..]) {
                if !path.starts_with("codecs::value") {
                    complaints.push(format!("{name}:{number} reaches beyond codecs::value: {}", line.trim()));
                }
            }
        }
    }
    insist(&complaints);
}

/// Numbered lines before the tests at the foot of a file, without comments.
fn product_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().take_while(|(_, line)| !line.starts_with("#[cfg(test)]\nmod tests"));
    let mut in_tests = false;
    lines
        .filter(move |(_, line)| {
            in_tests |= line.starts_with("mod tests") || line.starts_with("    use super::*;");
            !in_tests && !line.trim_start().starts_with("//")
        })
        .map(|(at, line)| (at + 1, line))
}

#[test]
fn unsafe_code_is_forbidden_where_it_must_be() {
    let roots = [
        "codecs/src/lib.rs",
        "switch/authorizer/src/lib.rs",
        "switch/src/lib.rs",
        "switch/src/main.rs",
        "loadtest/src/main.rs",
    ];
    let without = roots.iter().filter(|path| !read(path).contains("#![forbid(unsafe_code)]"));
    insist(&without.map(|path| format!("{path} does not forbid unsafe code")).collect::<Vec<_>>());
}

#[test]
fn every_test_that_stands_for_a_rule_is_there() {
    let table = read("tests/README.md");
    let rows =
        table.lines().skip_while(|line| *line != "| rule | tests |").take_while(|line| line.starts_with('|'));
    let names: Vec<&str> = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).collect();
    assert!(names.len() > 100, "{} names", names.len());
    let all: Vec<(String, String)> =
        sources("tests").into_iter().chain(sources("switch/authorizer")).collect();
    let is_there = |name: &&str| all.iter().any(|(_, text)| text.contains(&format!("fn {name}()")));
    let missing = names.iter().filter(|name| !is_there(name));
    insist(&missing.map(|name| format!("no test is called {name}")).collect::<Vec<_>>());
}

/// Where a type that `.clippy.toml` bans may stand all the same. None of it is on the path of a payment.
const BANNED_TYPES: [&str; 3] =
    ["hsm/devtoken/src/entry/mod.rs", "loadtest/src/clock.rs", "switch/src/registry.rs"];

#[test]
fn locks_are_banned_and_exceptions_stand_beside_the_path() {
    let lints = read(".clippy.toml").parse::<Table>().expect("lints");
    let banned: Vec<_> = lints["disallowed-types"].as_array().expect("types").iter().collect();
    let is_banned = |name: &str| banned.iter().any(|ban| ban["path"].as_str() == Some(name));
    let locks = ["std::sync::Mutex", "std::sync::RwLock", "std::sync::Condvar", "tokio::sync::Mutex"];
    let mut complaints: Vec<_> =
        locks.iter().filter(|lock| !is_banned(lock)).map(|lock| format!("{lock} is not banned")).collect();
    for (name, text) in sources("") {
        if text.contains(concat!("clippy::", "disallowed_types")) && !BANNED_TYPES.contains(&name.as_str()) {
            complaints.push(format!("{name} lifts the ban on locks"));
        }
    }
    insist(&complaints);
}

/// Metrics named `signalbox_...` in a text, without a histogram's endings. What recording rules make of them has
/// colons around it, and `signalbox_saf_*` is a family.
fn metrics_named(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, prefix) in text.match_indices("signalbox_") {
        if text[..at].ends_with([':', '_', '/', '-']) {
            continue;
        }
        let rest = &text[at + prefix.len()..];
        let end = rest
            .find(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && c != '_')
            .unwrap_or(rest.len());
        if rest[end..].starts_with([':', '*', '{']) && rest[..end].ends_with('_')
            || rest[end..].starts_with(':')
        {
            continue;
        }
        let name = rest[..end].trim_end_matches('_');
        let endings = ["_bucket", "_sum", "_count"];
        let base = endings.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
        if !base.is_empty() {
            names.insert(base.to_owned());
        }
    }
    names
}

#[test]
fn every_metric_that_is_named_is_in_the_catalogue() {
    let known: BTreeSet<_> = switch::catalogue::entries().map(|entry| entry.name).collect();
    let mut complaints = Vec::new();
    for (name, path) in files() {
        let is_told = name.starts_with("grafana/") || name.ends_with(".md");
        let Some(text) = fs::read_to_string(path).ok().filter(|_| is_told) else { continue };
        let unknown = metrics_named(&text).into_iter().map(|metric| format!("signalbox_{metric}"));
        let unknown = unknown.filter(|metric| !known.contains(metric.as_str()));
        complaints.extend(unknown.map(|metric| format!("{name} names {metric}, which there is not")));
    }
    insist(&complaints);
}

#[test]
fn no_file_names_a_place_on_one_machine() {
    // Put together here, so that this file does not name them either.
    let places = ["work", "root", "home"].map(|folder| format!("/{folder}/"));
    let mut complaints = Vec::new();
    for (name, path) in files() {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for (number, line) in text.lines().enumerate() {
            if places.iter().any(|place| names_place(line, place)) {
                complaints.push(format!("{name}:{} {}", number + 1, line.trim()));
            }
        }
    }
    insist(&complaints);
}

/// Whether a line holds an absolute path into this folder, and not the middle of a longer one.
fn names_place(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "._-}~*".contains(c))
    })
}

#[test]
fn every_exception_from_a_lint_has_its_reason() {
    let mut complaints = Vec::new();
    for (name, text) in sources("") {
        for marker in ["[expect(", "[allow("] {
            for (at, _) in text.match_indices(marker) {
                let attribute = &text[at..text[at..].find(")]").map_or(text.len(), |end| at + end)];
                let opens = text[..at].ends_with('#') || text[..at].ends_with("#!");
                if opens && !attribute.contains("reason") {
                    let line = text[..at].lines().count();
                    complaints.push(format!("{name}:{line} gives no reason: {attribute}"));
                }
            }
        }
    }
    insist(&complaints);
}

#[test]
fn every_dependency_comes_from_the_workspace_or_gives_its_reason() {
    let mut complaints = Vec::new();
    for (name, path) in files().into_iter().filter(|(name, _)| name.ends_with("Cargo.toml")) {
        let text = fs::read_to_string(path).expect("UTF-8");
        let mut in_dependencies = false;
        for line in text.lines() {
            if line.starts_with('[') {
                in_dependencies = line.ends_with("dependencies]") && line != "[workspace.dependencies]";
            } else if in_dependencies && line.contains(" = ") {
                let from_workspace = line.contains("workspace = true") || line.contains("path = ");
                if !from_workspace && !line.contains('#') {
                    complaints.push(format!("{name}: no reason beside {line}"));
                }
            }
        }
    }
    insist(&complaints);
}

/// The checkers must find what is planted before their silence counts.
mod planted {
    use super::*;

    #[test]
    fn std_let_back_in_is_found() {
        assert!(admits_std("lib.rs", "#![no_std]\nextern crate std;\n").is_some());
        assert!(admits_std("lib.rs", "#![no_std]\n#[cfg(test)]\nextern crate std;\n").is_none());
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        let place = format!("/{}/", "work");
        assert!(names_place(&format!("see {place}notes"), &place));
        assert!(names_place(&format!("\"{place}notes\""), &place));
        assert!(!names_place(&format!("docs{place}notes"), &place));
    }

    #[test]
    fn a_dependency_that_must_not_be_is_found() {
        let manifest =
            "[dependencies]\ncodecs = { workspace = true }\n[dev-dependencies]\nswitch = { path = \"..\" }";
        assert_eq!(
            workspace_dependencies(manifest),
            BTreeSet::from(["codecs".to_owned(), "switch".to_owned()])
        );
    }

    #[test]
    fn metrics_are_found_in_queries() {
        let query = "rate(signalbox_switch_seconds_bucket{le=\"1\"}[1m]) / signalbox_in_flight";
        assert_eq!(
            metrics_named(query),
            BTreeSet::from(["in_flight".to_owned(), "switch_seconds".to_owned()])
        );
    }

    #[test]
    fn tests_at_the_foot_are_not_product_lines() {
        let text = "use a;\n// codecs::x\n#[cfg(test)]\nmod tests {\n    use codecs::iso8583;\n}\n";
        assert_eq!(product_lines(text).map(|(number, _)| number).collect::<Vec<_>>(), [1, 3]);
    }
}
