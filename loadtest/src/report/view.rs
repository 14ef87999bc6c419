//! The run on a terminal: where it stands, how fast and how slow, redrawn every second.
//!
//! Keys are left to the terminal, so Ctrl-C ends the run as everywhere else. What is drawn is a function of
//! [`State`]; only [`View`] knows the terminal.

use std::collections::BTreeMap;
use std::io::{self, Stdout};

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::{cursor, execute, terminal};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, Gauge, GraphType, Paragraph};
use ratatui::{Frame, Terminal};

use super::figures::LAG_LIMIT_NS;
use super::series::SecondRow;
use super::text::{count, hundredths, share, time};
use crate::codes::Code;

/// What the view shows.
#[derive(Debug)]
pub struct State {
    title: String,
    description: String,
    /// Planned length in seconds.
    length: f64,
    closed: bool,
    rows: Vec<SecondRow>,
    codes: BTreeMap<String, u64>,
    answered: u64,
    late: u64,
    /// Greatest send lag p99 of a second so far.
    worst_lag_ns: u64,
}

impl State {
    /// Before the first second. `description` says what was asked for.
    pub fn new(title: &str, description: String, length: f64, closed: bool) -> State {
        State {
            title: title.to_string(),
            description,
            length,
            closed,
            rows: Vec::new(),
            codes: BTreeMap::new(),
            answered: 0,
            late: 0,
            worst_lag_ns: 0,
        }
    }

    fn add(&mut self, row: SecondRow) {
        for (code, answers) in &row.codes {
            *self.codes.entry(code.clone()).or_default() += answers;
        }
        self.answered += row.answered;
        self.late += row.late;
        self.worst_lag_ns = self.worst_lag_ns.max(row.lag_p99_ns);
        self.rows.push(row);
    }
}

/// The terminal while a run is shown on it. Dropping it gives the terminal back as it was.
#[derive(Debug)]
pub struct View {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    state: State,
}

impl View {
    /// Takes the terminal.
    pub fn open(state: State) -> io::Result<View> {
        execute!(io::stdout(), terminal::EnterAlternateScreen, cursor::Hide)?;
        let mut view = View { terminal: Terminal::new(CrosstermBackend::new(io::stdout()))?, state };
        view.draw()?;
        Ok(view)
    }

    /// Shows one more second.
    pub fn show(&mut self, row: &SecondRow) -> io::Result<()> {
        self.state.add(row.clone());
        self.draw()
    }

    fn draw(&mut self) -> io::Result<()> {
        let state = &self.state;
        self.terminal.draw(|frame| draw(frame, state)).map(|_| ())
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let _ = execute!(io::stdout(), terminal::LeaveAlternateScreen, cursor::Show);
    }
}

const FAINT: Style = Style::new().fg(Color::DarkGray);
const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);
const GOOD: Style = Style::new().fg(Color::Green);
const WARN: Style = Style::new().fg(Color::Yellow);

fn draw(frame: &mut Frame<'_>, state: &State) {
    // Codes get a line each, and charts what is left.
    let codes = state.codes.len().clamp(1, 6) as u16;
    let areas = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(1),
        Constraint::Length(4),
        Constraint::Min(6),
        Constraint::Length(codes + 1),
        Constraint::Length(1),
    ]);
    let [head, progress, figures, charts, outcomes, foot] = areas.areas(frame.area());
    let name = Line::from(vec![Span::styled(&state.title, STRONG), Span::raw("  loadtest")]);
    frame.render_widget(Paragraph::new(vec![name, Line::styled(&state.description, FAINT)]), head);
    draw_progress(frame, state, progress);
    draw_figures(frame, state, figures);
    let [rate, latency] = Layout::horizontal([Constraint::Ratio(1, 2); 2]).spacing(1).areas(charts);
    draw_rate(frame, state, rate);
    draw_latency(frame, state, latency);
    draw_codes(frame, state, outcomes);
    frame.render_widget(
        Line::styled("Ctrl-C ends the run; the report says what there is by then", FAINT),
        foot,
    );
}

fn draw_progress(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let second = state.rows.last().map_or(0, |row| row.second) as f64;
    let label = match state.rows.is_empty() {
        true => "waiting for the first second".to_string(),
        false if second > state.length => "waiting for the last answers".to_string(),
        false => format!("{second} of {} s", hundredths(state.length)),
    };
    let gauge = Gauge::default().gauge_style(Style::new().fg(Color::Blue).bg(Color::Black)).label(label);
    frame.render_widget(gauge.ratio((second / state.length).clamp(0.0, 1.0)), area);
}

fn draw_figures(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let none = SecondRow::default();
    let row = state.rows.last().unwrap_or(&none);
    let timed = |ns: u64| if row.answered == 0 { "-".to_string() } else { time(ns) };
    let cell = |name: &str, value: String| {
        vec![Span::styled(format!("{name:<9}"), FAINT), Span::styled(format!("{value:<11}"), STRONG)]
    };
    let line = |cells: Vec<Vec<Span<'static>>>| Line::from(cells.concat());
    let lag = match (state.closed, state.worst_lag_ns > LAG_LIMIT_NS) {
        (true, _) => Span::styled("closed loop: the answers set the pace, a stall is hardly seen", WARN),
        (false, true) => {
            let worst = time(state.worst_lag_ns);
            Span::styled(format!("the generator was late: in one second send lag p99 was {worst}"), WARN)
        }
        (false, false) => Span::styled("the generator keeps up", GOOD),
    };
    let late = count(state.late);
    let lines = vec![
        line(vec![
            cell("planned", format!("{}/s", count(row.planned))),
            cell("sent", format!("{}/s", count(row.sent))),
            cell("answered", format!("{}/s", count(row.answered))),
            cell("approved", share(row.approved, row.answered)),
        ]),
        line(vec![
            cell("p50", timed(row.p50_ns)),
            cell("p90", timed(row.p90_ns)),
            cell("p99", timed(row.p99_ns)),
            cell("max", timed(row.max_ns)),
        ]),
        line(vec![
            cell("flying", count(row.in_flight)),
            cell("late", late),
            cell("in all", count(state.answered)),
            cell("lag p99", time(row.lag_p99_ns)),
        ]),
        Line::from(lag),
    ];
    frame.render_widget(Paragraph::new(lines), area);
}

/// A line of a chart: its name, colour and points.
type Curve = (&'static str, Color, Vec<(f64, f64)>);

fn draw_rate(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let rows = recent(state, area);
    let most = rows.iter().map(|row| row.planned.max(row.answered)).max().unwrap_or(0).max(2);
    let top = round_up(most as f64);
    let points = |figure: fn(&SecondRow) -> u64| {
        rows.iter().map(|row| (row.second as f64, figure(row) as f64)).collect::<Vec<_>>()
    };
    let curves = [
        ("planned", Color::DarkGray, points(|row| row.planned)),
        ("answered", Color::Blue, points(|row| row.answered)),
    ];
    let labels = vec!["0".to_string(), count((top / 2.0) as u64), count(top as u64)];
    draw_chart(frame, area, "a second", rows, &curves, ([0.0, top], labels));
}

/// The next number whose half can be read off too.
fn round_up(value: f64) -> f64 {
    let unit = 10_f64.powf(value.log10().floor());
    let round = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0].map(|digit| digit * unit);
    round.into_iter().find(|round| *round >= value).unwrap_or(10.0 * unit)
}

fn draw_latency(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let rows = recent(state, area);
    let points = |figure: fn(&SecondRow) -> u64| {
        let answered = rows.iter().filter(|row| row.answered > 0);
        answered.map(|row| (row.second as f64, (figure(row).max(1) as f64).log10())).collect::<Vec<_>>()
    };
    let curves = [
        ("max", Color::Red, points(|row| row.max_ns)),
        ("p99", Color::Magenta, points(|row| row.p99_ns)),
        ("p50", Color::Cyan, points(|row| row.p50_ns)),
    ];
    let all = curves.iter().flat_map(|(_, _, points)| points.iter().map(|point| point.1));
    let (low, high) = all.fold((9.0, 0.0_f64), |(low, high), value: f64| (value.min(low), value.max(high)));
    let (low, high) =
        if high == 0.0 { (5.0, 6.0) } else { (low.floor(), high.ceil().max(low.floor() + 1.0)) };
    let steps = low as u32..=high as u32;
    let labels = steps.map(|power| time(10_u64.pow(power)).replace(".00", "").replace(".0", "")).collect();
    draw_chart(frame, area, "response time", rows, &curves, ([low, high], labels));
}

/// The seconds that find room: two to a column.
fn recent(state: &State, area: Rect) -> &[SecondRow] {
    let room = usize::from(area.width.max(20)) * 2;
    &state.rows[state.rows.len().saturating_sub(room)..]
}

fn draw_chart(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    rows: &[SecondRow],
    curves: &[Curve],
    (bounds, labels): ([f64; 2], Vec<String>),
) {
    let mut names = vec![Span::styled(format!("{title}  "), STRONG)];
    names.extend(curves.iter().map(|(name, colour, _)| Span::styled(format!("{name} "), *colour)));
    let sets = curves.iter().map(|(_, colour, points)| {
        let line = Dataset::default().marker(Marker::Braille).graph_type(GraphType::Line);
        line.style(Style::new().fg(*colour)).data(points)
    });
    let first = rows.first().map_or(0, |row| row.second) as f64;
    let last = (rows.last().map_or(0, |row| row.second) as f64).max(first + 1.0);
    let chart = Chart::new(sets.collect())
        .block(Block::new().title(Line::from(names)))
        .legend_position(None)
        .x_axis(
            Axis::default()
                .style(FAINT)
                .bounds([first, last])
                .labels([format!("{first} s"), format!("{last} s")]),
        )
        .y_axis(Axis::default().style(FAINT).bounds(bounds).labels(labels));
    frame.render_widget(chart, area);
}

fn draw_codes(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let mut codes: Vec<(&String, &u64)> = state.codes.iter().collect();
    codes.sort_by_key(|(_, answers)| std::cmp::Reverse(**answers));
    let whole: u64 = state.codes.values().sum();
    let width = usize::from(area.width).saturating_sub(56).clamp(8, 60);
    let mut lines = vec![Line::styled("answers in time by code", FAINT)];
    for (text, answers) in codes {
        let code = Code::parse(text.as_bytes());
        let approves = code.is_some_and(|code| code.is_approval());
        let meaning = code.map_or("", |code| code.meaning());
        let blocks = (*answers as f64 * width as f64 / whole.max(1) as f64).ceil() as usize;
        let bar = Span::styled(
            format!("{:<width$}", "█".repeat(blocks.min(width))),
            if approves { GOOD } else { WARN },
        );
        let figures = format!("{text:<4}{:>12} {:>9}  ", count(*answers), share(*answers, whole));
        lines.push(Line::from(vec![Span::raw(figures), bar, Span::styled(format!("  {meaning}"), FAINT)]));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::backend::TestBackend;

    fn row(second: u64) -> SecondRow {
        SecondRow {
            second,
            planned: 1_000,
            sent: 1_000,
            answered: 990,
            approved: 940,
            p50_ns: 2_000_000,
            p99_ns: 12_000_000,
            max_ns: 40_000_000,
            codes: BTreeMap::from([("00".to_string(), 940), ("51".to_string(), 50)]),
            ..SecondRow::default()
        }
    }

    fn screen(width: u16, height: u16, rows: u64) -> String {
        let mut state = State::new("baseline", "open loop".to_string(), 20.0, false);
        (1..=rows).for_each(|second| state.add(row(second)));
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, &state)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn everything_finds_room_on_small_and_large_terminals() {
        for (width, height) in [(80, 24), (200, 60)] {
            let screen = screen(width, height, 12);
            for part in [
                "baseline",
                "12 of 20 s",
                "p99      12.0 ms",
                "the generator keeps up",
                "response time",
                "insufficient funds",
                "5.05 %",
                "100 ms",
                "Ctrl-C",
            ] {
                assert!(screen.contains(part), "`{part}` at {width}x{height}:\n{screen}");
            }
        }
    }

    #[test]
    fn an_axis_ends_at_a_round_number() {
        for (value, end) in
            [(2.0, 2.0), (9.0, 10.0), (822.0, 1_000.0), (1_000.0, 1_000.0), (5_100.0, 6_000.0)]
        {
            assert_eq!(round_up(value), end);
        }
    }

    #[test]
    fn nothing_yet_and_no_room_are_no_faults() {
        assert!(screen(80, 24, 0).contains("waiting for the first second"));
        for (width, height) in [(1, 1), (10, 3), (40, 10)] {
            screen(width, height, 30);
        }
    }
}
