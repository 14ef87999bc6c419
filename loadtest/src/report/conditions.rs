//! Where and how a run was made.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// Where and how a run was made.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Conditions {
    /// This program's version, with the commit where the build knew it.
    pub version: String,
    /// Whether it was built without optimization.
    pub debug_build: bool,
    /// Cores that the process may use.
    pub cores: usize,
    /// The processor's own name.
    pub processor: String,
    /// The kernel's release.
    pub kernel: String,
    /// How the program was called.
    pub command_line: String,
}

/// Version and, where the build was told it, commit.
pub static VERSION: LazyLock<String> = LazyLock::new(|| {
    let version = env!("CARGO_PKG_VERSION");
    match option_env!("SIGNALBOX_COMMIT") {
        Some(commit) => format!("{version} ({commit})"),
        None => version.to_string(),
    }
});

impl Conditions {
    /// Those of this process.
    pub fn here() -> Conditions {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let processor = read("/proc/cpuinfo").lines().find_map(|line| {
            line.strip_prefix("model name")?.split_once(':').map(|(_, name)| name.trim().to_string())
        });
        let kernel = read("/proc/sys/kernel/osrelease").trim().to_string();
        Conditions {
            version: VERSION.clone(),
            debug_build: cfg!(debug_assertions),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor: processor.unwrap_or_else(|| std::env::consts::ARCH.to_string()),
            kernel: if kernel.is_empty() {
                std::env::consts::OS.to_string()
            } else {
                format!("Linux {kernel}")
            },
            command_line: command_line(std::env::args()),
        }
    }
}

/// The arguments as a shell would take them; the program without its path.
fn command_line(arguments: impl Iterator<Item = String>) -> String {
    let quoted = arguments.enumerate().map(|(index, argument)| {
        let argument =
            if index == 0 { argument.rsplit('/').next().unwrap_or_default().to_string() } else { argument };
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_=.,:/%+@".contains(c);
        if !argument.is_empty() && argument.chars().all(plain) {
            argument
        } else {
            format!("'{}'", argument.replace('\'', r"'\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_can_be_pasted() {
        let arguments = ["/usr/bin/loadtest", "run", "demo", "--threshold", "p99(response)<50ms"];
        let line = command_line(arguments.into_iter().map(str::to_string));
        assert_eq!(line, "loadtest run demo --threshold 'p99(response)<50ms'");
    }
}
