//! Interleaved rounds: every subject under every load once a round, in turning order, so that what the machine does
//! meanwhile meets all of them. The subject has one processor to itself, client and issuer share the other.

use std::error::Error;
use std::io;

use crate::client::{self, Load, Seen};
use crate::subject::{Stand, Subject};
use crate::system::Cpu;
use crate::table;

/// What is asked for.
pub struct Plan {
    pub stand: Stand,
    pub rounds: usize,
    pub seconds: f64,
    /// With commas between.
    pub loads: String,
    /// What the names of subjects contain that are measured beside the floor.
    pub only: String,
}

impl Plan {
    /// The loads with their names.
    pub fn loads(&self) -> Result<Vec<(&str, Load)>, String> {
        self.loads.split(',').map(|load| Ok((load, Load::parse(load, self.seconds)?))).collect()
    }

    /// The subjects that bear a load.
    pub fn subjects(&self, load: &Load) -> Vec<Subject> {
        let all = Subject::all(self.stand.shape, self.stand.codes.is_some()).into_iter();
        let is_wanted = |subject: &Subject| *subject == Subject::Floor || subject.name().contains(&self.only);
        all.filter(|subject| is_wanted(subject) && subject.bears(load)).collect()
    }
}

/// What one run of one subject showed.
#[derive(Clone, Copy)]
pub struct Figures {
    pub rate: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    /// For each answer, of everything that the subject started.
    pub cpu_ns: f64,
    /// Of its threads on the path.
    pub path_cpu_ns: f64,
}

/// Runs all of it and prints a table per load.
pub fn run(plan: &Plan) -> Result<(), Box<dyn Error>> {
    println!("{} rounds of {} s, interleaved; every cell median (min to max)", plan.rounds, plan.seconds);
    for (name, load) in &plan.loads()? {
        let subjects = plan.subjects(load);
        let mut figures = vec![Vec::new(); subjects.len()];
        for round in 0..plan.rounds {
            for turn in 0..subjects.len() {
                let place = (round + turn) % subjects.len();
                figures[place].push(once(&plan.stand, subjects[place], load)?);
            }
        }
        table::print_rounds(name, &subjects, &figures);
    }
    Ok(())
}

fn once(stand: &Stand, subject: Subject, load: &Load) -> io::Result<Figures> {
    let requests = stand.requests(subject);
    stand.with(subject, &requests, |process, at| {
        let mut cpu = Vec::new();
        let seen = client::run(at, load, &requests, &mut || cpu.push(Cpu::of(process)))?;
        insist_on_approvals(&seen)?;
        let each = |spent_ns: u64| spent_ns as f64 / seen.answers.max(1) as f64;
        // Behind by more than the run nothing has a time: nothing that was due after the warm-up was answered.
        let us = |quantile| match seen.times_ns.len() {
            0 => f64::NAN,
            _ => seen.times_ns.value_at_quantile(quantile) as f64 / 1e3,
        };
        Ok(Figures {
            rate: seen.rate,
            p50_us: us(0.5),
            p99_us: us(0.99),
            p999_us: us(0.999),
            cpu_ns: each(cpu[1].all_ns - cpu[0].all_ns),
            path_cpu_ns: each(cpu[1].path_ns - cpu[0].path_ns),
        })
    })
}

/// What declines is not what was to be measured.
pub fn insist_on_approvals(seen: &Seen) -> io::Result<()> {
    match (seen.declined, seen.answers) {
        (0, 1..) => Ok(()),
        (0, _) => Err(io::Error::other("no answer")),
        (declined, _) => Err(io::Error::other(format!("{declined} declined"))),
    }
}
