//! Another configuration while the switch runs: read, checked and swapped whole, or not at all.
//!
//! What cannot change while links and shards live keeps the value it has, and is named. A configuration that names
//! other acquirers, issuers or programs is refused as a whole: its routes could lead to nobody.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use authorizer::tables::Tables;
use serde_json::{Value, json};

use crate::config::{Config, Faults, Place, Setting, effective, settings};
use crate::hop::Hop;
use crate::rules::Rules;
use crate::setup::Setup;
use crate::tables;

/// Reads the configuration again, from where it was read at the start.
pub type Reread = Box<dyn Fn() -> Result<Config, Faults> + Send>;

/// What became of a reload that was made.
pub(crate) struct Reloaded {
    /// The generation that is in force now. It is the one before when nothing was changed.
    pub(crate) generation: u64,
    /// Settings with another value than before, old and new value.
    pub(crate) applied: Vec<Change>,
    /// Settings that were changed in the file and keep their value until a restart.
    pub(crate) needs_restart: Vec<Change>,
}

/// One setting that was given another value; nothing stands for one that is not there.
pub(crate) struct Change {
    pub(crate) path: String,
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
}

/// Why nothing was changed.
pub(crate) enum Refused {
    /// The file is not sound.
    Faults(Faults),
    /// It names other peers or programs.
    Others(Vec<String>),
    /// A file it names cannot be used.
    Unusable(String),
}

/// What keeps a reload's memory: tables that shards may still look at are given up by the next one, not by a shard
/// in the middle of its work.
#[derive(Default)]
pub(crate) struct Retired(Option<(Arc<Rules>, Arc<Tables>)>);

/// Puts a configuration in force.
///
/// # Errors
/// Why nothing was changed.
pub(crate) fn reload(setup: &Setup, reread: &Reread, retired: &mut Retired) -> Result<Reloaded, Refused> {
    let new = reread().map_err(Refused::Faults)?;
    let old = setup.rules();
    let Some(merged) = effective::merged(&old.config, &new) else {
        return Err(Refused::Others(others(&old.config, &new)));
    };
    let (applied, needs_restart) = (changes(&old.config, &merged), changes(&merged, &new));
    // Certificates may be new ones under old names, so they are read even when no setting was changed.
    let generation = old.generation + 1;
    let rules = Arc::new(Rules::new(merged, generation).map_err(Refused::Unusable)?);
    let tables = Arc::new(tables::tables(&rules.config));
    setup.swap_rules(rules.clone());
    for mailbox in &setup.mailboxes {
        let mut hop = Hop::Rules(rules.clone(), tables.clone());
        // A full mailbox is being emptied by its shard at this moment.
        while let Err(again) = mailbox.send(hop) {
            hop = again;
            std::thread::yield_now();
        }
    }
    retired.0 = Some((rules, tables));
    Ok(Reloaded { generation, applied, needs_restart })
}

/// What a reload would do, doing nothing: for the console.
pub(crate) fn compare(setup: &Setup, reread: &Reread) -> Value {
    let old = setup.rules();
    let refused = match reread() {
        Err(faults) => Refused::Faults(faults),
        Ok(new) => match effective::merged(&old.config, &new) {
            None => Refused::Others(others(&old.config, &new)),
            Some(merged) => {
                let said = |changes: Vec<Change>| changes.iter().map(Change::said).collect::<Vec<_>>();
                return json!({
                    "generation": old.generation,
                    "is_sound": true,
                    "applies": said(changes(&old.config, &merged)),
                    "needs_restart": said(changes(&merged, &new)),
                });
            }
        },
    };
    let mut said = refused.said(old.generation);
    said["is_sound"] = json!(false);
    said
}

fn others(old: &Config, new: &Config) -> Vec<String> {
    let (old, new) = (effective::names(old), effective::names(new));
    let gone = old.iter().filter(|name| !new.contains(name)).map(|name| format!("{name} is gone"));
    let fresh = new.iter().filter(|name| !old.contains(name)).map(|name| format!("{name} is new"));
    let mut others: Vec<String> = gone.chain(fresh).collect();
    if others.is_empty() {
        others.push("the order of peers or programs is another".to_owned());
    }
    others
}

/// Settings of which two configurations have different values.
fn changes(from: &Config, to: &Config) -> Vec<Change> {
    let (from, to) = (settings(from), settings(to));
    let mut before: HashMap<&str, &str> =
        from.iter().map(|setting| (setting.path.as_str(), setting.value.as_str())).collect();
    let mut changes = Vec::new();
    for Setting { path, value, .. } in &to {
        let known = before.remove(path.as_str());
        if known != Some(value) {
            let from = known.map(str::to_owned);
            changes.push(Change { path: path.clone(), from, to: Some(value.clone()) });
        }
    }
    let gone = from.iter().filter(|setting| before.contains_key(setting.path.as_str()));
    changes.extend(gone.map(|Setting { path, value, .. }| Change {
        path: path.clone(),
        from: Some(value.clone()),
        to: None,
    }));
    changes
}

impl Reloaded {
    /// For the caller of `/v1/reload`.
    pub(crate) fn said(&self) -> Value {
        json!({
            "reloaded": true,
            "generation": self.generation,
            "applied": self.applied.iter().map(Change::said).collect::<Vec<_>>(),
            "needs_restart": self.needs_restart.iter().map(Change::said).collect::<Vec<_>>(),
        })
    }
}

impl Change {
    fn said(&self) -> Value {
        json!({ "setting": self.path, "from": self.from, "to": self.to })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        write!(f, "{} from {} to {}", self.path, shown(&self.from), shown(&self.to))
    }
}

impl Refused {
    /// For the caller of `/v1/reload`, with the generation that stays in force.
    pub(crate) fn said(&self, generation: u64) -> Value {
        let (faults, needs_restart): (Vec<Value>, &[String]) = match self {
            Self::Faults(faults) => (faults.iter().map(fault).collect(), &[]),
            Self::Unusable(why) => (vec![json!({ "found": why })], &[]),
            Self::Others(others) => (Vec::new(), others),
        };
        json!({
            "reloaded": false, "generation": generation, "faults": faults, "needs_restart": needs_restart,
        })
    }
}

fn fault(fault: &crate::config::Fault) -> Value {
    let mut said = json!({
        "found": fault.found, "expected": fault.expected, "suggestion": fault.suggestion,
    });
    match &fault.place {
        Place::File { path, line, column } => {
            said["file"] = json!(path.display().to_string());
            said["line"] = json!(line);
            said["column"] = json!(column);
        }
        Place::Variable(name) => said["variable"] = json!(name),
    }
    said
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Faults(faults) => write!(f, "{}", faults.to_string().trim_end().replace('\n', "; ")),
            Self::Others(others) => write!(f, "needs a restart: {}", others.join(", ")),
            Self::Unusable(why) => write!(f, "{why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::ChangedBy;

    const EXAMPLE: &str = include_str!("../config.example.toml");

    fn config(text: &str) -> Config {
        crate::config::parse(text, Path::new("f.toml"), std::iter::empty()).expect("sound")
    }

    fn paths(changes: &[Change]) -> Vec<String> {
        changes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_merged_is_exactly_what_is_said_to_change_by_a_reload() {
        let old = config(EXAMPLE);
        let other = EXAMPLE
            .replace("shards = 1 ", "shards = 2 ")
            .replace("patience = \"15s\"", "patience = \"20s\"")
            .replace("timeout = \"10s\"", "timeout = \"12s\"")
            .replace("127.0.0.1:7102", "127.0.0.1:7103")
            .replace("glitches_max = 3", "glitches_max = 4")
            .replace("iin = \"99996\"", "iin = \"99997\"");
        let new = config(&other);
        let merged = effective::merged(&old, &new).expect("the same peers");
        assert_eq!(
            paths(&changes(&old, &merged)),
            [
                "limits.glitches_max from 3 to 4",
                "acquirer.north.patience from \"15s\" to \"20s\"",
                "issuer.maple.timeout from \"10s\" to \"12s\"",
                "route.99997 from nothing to [\"maple\"]",
                "route.99996 from [\"maple\"] to nothing",
            ]
        );
        assert_eq!(
            paths(&changes(&merged, &new)),
            [
                "switch.shards from 1 to 2",
                "issuer.maple.connect from [\"127.0.0.1:7101\", \"127.0.0.1:7102\"] to \
                 [\"127.0.0.1:7101\", \"127.0.0.1:7103\"]",
            ]
        );
        for setting in settings(&merged) {
            let kept = if setting.changed_by == ChangedBy::Restart { &old } else { &new };
            assert!(settings(kept).contains(&setting), "{setting:?}");
        }
    }

    #[test]
    fn other_peers_are_named() {
        let (old, new) = (config(EXAMPLE), config(&EXAMPLE.replace("\"maple\"", "\"oak\"")));
        assert!(effective::merged(&old, &new).is_none());
        assert_eq!(others(&old, &new), ["issuer.maple is gone", "issuer.oak is new"]);
    }
}
