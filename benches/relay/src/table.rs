//! Figures as tables that can be put into a document.

use crate::rounds::Figures;
use crate::subject::Subject;

/// A column: its title, its figure, and how many digits behind the point it is worth.
type Column = (&'static str, fn(&Figures) -> f64, usize);

const COLUMNS: [Column; 6] = [
    ("a second", |figures| figures.rate, 0),
    ("p50 us", |figures| figures.p50_us, 1),
    ("p99 us", |figures| figures.p99_us, 1),
    ("p99.9 us", |figures| figures.p999_us, 1),
    ("CPU ns each", |figures| figures.cpu_ns, 0),
    ("on the path", |figures| figures.path_cpu_ns, 0),
];

/// Which columns are also shown as ratios, and to whom.
const RATIOS: [(usize, Subject, &str); 5] = [
    (0, Subject::Floor, "a second : floor"),
    (1, Subject::Floor, "p50 : floor"),
    (4, Subject::Floor, "CPU : floor"),
    (5, Subject::Floor, "on the path : floor"),
    (0, Subject::HaProxy, "a second : HAProxy"),
];

/// Prints one load.
pub fn print_rounds(load: &str, subjects: &[Subject], figures: &[Vec<Figures>]) {
    println!("\n### {load}\n");
    let of = |subject| subjects.iter().position(|one| *one == subject).map(|place| &figures[place]);
    let ratios: Vec<_> =
        RATIOS.iter().filter_map(|(column, base, title)| Some((*column, of(*base)?, *title))).collect();
    let titles = COLUMNS.iter().map(|(title, ..)| *title).chain(ratios.iter().map(|(.., title)| *title));
    print_row("", titles.map(str::to_owned));
    print_row("---", std::iter::repeat_n("---".to_owned(), COLUMNS.len() + ratios.len()));
    for (subject, rounds) in subjects.iter().zip(figures) {
        let cells = COLUMNS.iter().map(|column| cell(rounds, column));
        let ratios = ratios.iter().map(|(column, base, _)| {
            let (_, figure, _) = COLUMNS[*column];
            told(median_of(rounds, figure) / median_of(base, figure), 2)
        });
        print_row(&subject.name(), cells.chain(ratios));
    }
}

/// Prints a row.
pub fn print_row(name: &str, cells: impl Iterator<Item = String>) {
    println!("| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
}

fn cell(rounds: &[Figures], (_, figure, digits): &Column) -> String {
    let sorted = sorted(rounds.iter().map(figure).collect());
    let [median, least, most] =
        [median_of(rounds, *figure), sorted[0], sorted[sorted.len() - 1]].map(|value| told(value, *digits));
    format!("{median} ({least} to {most})")
}

fn told(value: f64, digits: usize) -> String {
    if value.is_nan() { "-".to_owned() } else { format!("{value:.digits$}") }
}

fn median_of(rounds: &[Figures], figure: fn(&Figures) -> f64) -> f64 {
    median(rounds.iter().map(figure).collect())
}

/// The middle one; of an even number the higher of the two.
pub fn median(values: Vec<f64>) -> f64 {
    let sorted = sorted(values);
    sorted[sorted.len() / 2]
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}
