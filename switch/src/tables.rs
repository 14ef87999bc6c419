//! From the configuration to what decisions are made from.

use authorizer::decision::DeclineReason;
use authorizer::event::IssuerId;
use authorizer::iin_table::{IinTable, Route};
use authorizer::limits::Limits;
use authorizer::programs::{CardProgram, Tries, challenge, contactless, rotating_atc};
use authorizer::request::Class;
use authorizer::rights::Rights;
use authorizer::saf::Retry;
use authorizer::stand_in::StandIn;
use authorizer::tables::{Acquirer, Issuer, Tables};

use crate::acquirer::translate;
use crate::config::{self, Config, ProgramKind};
use crate::setup::links_of;

/// The tables of every shard.
pub(crate) fn tables(config: &Config) -> Tables {
    let routes = config.routes.iter().map(|route| {
        (route.iin, Route { issuers: route.issuers.iter().map(|issuer| IssuerId(*issuer as u16)).collect() })
    });
    Tables {
        acquirers: config.acquirers.iter().map(|acquirer| self::acquirer(config, acquirer)).collect(),
        issuers: config.issuers.iter().map(|issuer| self::issuer(config, issuer)).collect(),
        iins: IinTable::new(routes.collect()),
        approval_codes: config.switch.approval_codes.clone(),
        programs: config.programs.iter().map(program).collect(),
        has_journal: config.journal.is_some(),
        planted: None,
        retry: Retry {
            min_us: config.timers.reversal_retry_min.as_micros() as u64,
            max_us: config.timers.reversal_retry_max.as_micros() as u64,
        },
        proof_timeout_us: config.hsm.as_ref().map_or(0, |hsm| hsm.deadline.as_micros() as u64),
        decline_floor_us: config.hsm.as_ref().map_or(0, |hsm| hsm.decline_floor.as_micros() as u64),
    }
}

/// The bounds of one shard.
pub(crate) fn limits(config: &Config) -> Limits {
    Limits {
        pending_max: config.switch.pending_max,
        recent_entries: config.switch.recent_entries,
        recent_window_us: config.switch.recent_window.as_micros() as u64,
        cards_max: config.limits.cards_max,
        reversals_max: config.limits.reversals_max,
    }
}

fn acquirer(config: &Config, acquirer: &config::Acquirer) -> Acquirer {
    let classes: Vec<Class> = acquirer.mtis.iter().filter_map(|mti| translate::class(*mti)).collect();
    let named = |name: &str| DeclineReason::ALL.into_iter().find(|reason| reason.name() == name);
    Acquirer {
        rights: Rights {
            acquirer_ids: acquirer.acquirer_ids.clone(),
            forwarder_ids: acquirer.forwarder_ids.clone(),
            classes: (!acquirer.mtis.is_empty()).then_some(classes),
            iins: acquirer.iins.clone(),
            terminals: acquirer.terminals.iter().map(|prefix| prefix.clone().into_bytes()).collect(),
        },
        takes_parts: acquirer.partial_approvals,
        codes: translate::code_set(config.dialects[acquirer.dialect].1.version),
        overrides: acquirer
            .response_codes
            .iter()
            .filter_map(|(name, code)| Some((named(name)?, *code)))
            .collect(),
    }
}

fn issuer(config: &Config, issuer: &config::Issuer) -> Issuer {
    let stand_in = |agreed: &config::StandIn| StandIn {
        iins: agreed.iins.clone(),
        currency: agreed.currency,
        floor_minor: agreed.floor_minor,
        card_daily_minor: agreed.card_daily_minor,
        // No shard asks another: each has its part.
        funding_daily_minor: agreed.card_daily_minor / u64::from(config.switch.shards),
        daily_minor: agreed.daily_minor / u64::from(config.switch.shards),
    };
    Issuer {
        timeout_us: issuer.timeout.as_micros() as u64,
        window: issuer.window,
        links: links_of(issuer) as u16,
        stand_in: issuer.stand_in.as_ref().map(stand_in),
    }
}

fn program(program: &config::Program) -> CardProgram {
    let tries = Tries {
        per_secret: program.tries_per_secret,
        per_card: program.tries_per_card,
        window_us: program.tries_window.as_micros() as u64,
    };
    match program.kind {
        ProgramKind::RotatingAtc => {
            let is_cvc3 = program.cvc3.is_some();
            let profile = if is_cvc3 { rotating_atc::Profile::Cvc3 } else { rotating_atc::Profile::Aes };
            CardProgram::RotatingAtc(rotating_atc::Settings { tries, profile })
        }
        ProgramKind::Challenge { required_above, .. } => {
            let required = required_above.map_or(challenge::Required::Always, challenge::Required::Above);
            CardProgram::Challenge(challenge::Settings { tries, required })
        }
        ProgramKind::Contactless { atc_digits, reach, .. } => {
            let Tries { per_card: tries_per_card, window_us, .. } = tries;
            CardProgram::Contactless(contactless::Settings { atc_digits, reach, tries_per_card, window_us })
        }
    }
}
