//! Figures as a table that can be put into a document.

use crate::rounds::Figures;
use crate::subject::Subject;

/// A column: its title, its figure, and how many digits behind the point it is worth.
type Column = (&'static str, fn(&Figures) -> f64, usize);

const COLUMNS: [Column; 5] = [
    ("a second", |figures| figures.rate, 0),
    ("p50 us", |figures| figures.p50_us, 1),
    ("p99 us", |figures| figures.p99_us, 1),
    ("p99.9 us", |figures| figures.p999_us, 1),
    ("CPU ns each", |figures| figures.cpu_ns, 0),
];

/// Which columns are also shown as ratios to the first subject.
const RATIOS: [usize; 3] = [0, 1, 4];

/// Prints one load.
pub fn print(load: &str, subjects: &[Subject], figures: &[Vec<Figures>]) {
    println!("\n### {load}\n");
    let ratios = RATIOS.map(|column| format!("{} : floor", COLUMNS[column].0));
    let titles = COLUMNS.iter().map(|(title, ..)| (*title).to_owned()).chain(ratios);
    println!("| | {} |", titles.collect::<Vec<_>>().join(" | "));
    println!("|{}", " --- |".repeat(1 + COLUMNS.len() + RATIOS.len()));
    for (subject, rounds) in subjects.iter().zip(figures) {
        let cells = COLUMNS.iter().map(|column| cell(rounds, column));
        let ratios = RATIOS.map(|column| {
            let (_, figure, _) = COLUMNS[column];
            format!("{:.2}", median(rounds, figure) / median(&figures[0], figure))
        });
        let cells = cells.chain(ratios).collect::<Vec<_>>().join(" | ");
        println!("| {} | {cells} |", subject.name());
    }
}

fn cell(rounds: &[Figures], (_, figure, digits): &Column) -> String {
    let sorted = sorted(rounds, *figure);
    let (least, most) = (sorted[0], sorted[sorted.len() - 1]);
    format!("{:.digits$} ({least:.digits$} to {most:.digits$})", median(rounds, *figure))
}

fn median(rounds: &[Figures], figure: fn(&Figures) -> f64) -> f64 {
    sorted(rounds, figure)[rounds.len() / 2]
}

fn sorted(rounds: &[Figures], figure: fn(&Figures) -> f64) -> Vec<f64> {
    let mut values: Vec<f64> = rounds.iter().map(figure).collect();
    values.sort_by(f64::total_cmp);
    values
}
