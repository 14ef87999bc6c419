//! A crew and a worker that the test plays, over a real stream.

use std::cell::RefCell;
use std::io::Read;

use hsm::wire::{Order, put_answer, put_word};
use hsm::{Cause, Code, CodeLength, KeyId, Kind, Response, Retry};

use authorizer::verify::{Judgement, ProofId};

use super::*;
use crate::config::Placement;
use crate::crypto::judgement;
use crate::mac::MacTicket;

const DEADLINE_US: u64 = 250_000;

/// One place, its crew, the other end of its worker's stream.
struct Stage {
    crew: Crew,
    worker: UnixStream,
    news: mpsc::Receiver<News>,
    judged: RefCell<Vec<Judgement>>,
}

fn judged(said: Said<'_>) -> Judgement {
    said.map_or(Judgement::Unknown, judgement)
}

impl Stage {
    fn new() -> Stage {
        let hsm = Hsm {
            module: "module.so".into(),
            token: "token".to_owned(),
            pin_file: "pin".into(),
            placement: Placement::Worker,
            workers: 1,
            recycle_after: 100,
            deadline: Duration::from_micros(DEADLINE_US),
            decline_floor: Duration::ZERO,
        };
        let (to_supervisor, news) = mpsc::channel(16);
        let crew = Crew::new(0, &hsm, to_supervisor);
        let (ours, worker) = UnixStream::pair().unwrap();
        let mut stage = Stage { crew, worker, news, judged: RefCell::default() };
        stage.seat(1, ours);
        stage
    }

    fn seat(&mut self, number: u64, stream: UnixStream) {
        stream.set_nonblocking(true).unwrap();
        self.crew.seat(0, number, stream, &|_, said| self.judged.borrow_mut().push(judged(said)));
    }

    fn ask(&mut self, now_us: u64) -> bool {
        self.crew.ask(7, Waits::Proof(ProofId::default()), &question(), now_us).is_ok()
    }

    fn submit(&mut self, now_us: u64) {
        self.crew.submit(now_us, &|_, said| self.judged.borrow_mut().push(judged(said)));
    }

    /// What one read finds at the worker's end: the numbers of questions, and of probes.
    fn orders(&mut self) -> (Vec<u64>, Vec<u64>) {
        let mut bytes = vec![0; 256 << 10];
        let read = self.worker.read(&mut bytes).unwrap();
        let (mut rest, mut asked, mut probes) = (&bytes[..read], Vec::new(), Vec::new());
        while let Some((order, taken)) = wire::order(rest).unwrap() {
            match order {
                Order::Ask(questions) => asked.extend(questions.map(|asked| asked.unwrap().0)),
                Order::Probe(probe) => probes.push(probe),
                Order::SetUp(_) => panic!("a plan"),
            }
            rest = &rest[taken..];
        }
        assert!(rest.is_empty(), "whole frames only");
        (asked, probes)
    }

    /// The worker answers these, or says a word.
    fn answer(&mut self, answers: &[(u64, Result<Answer, HsmError>)], derivations: u64, now_us: u64) {
        let mut bytes = Vec::new();
        let begun = wire::begin_answers(&mut bytes, derivations);
        answers.iter().for_each(|(number, answer)| put_answer(&mut bytes, *number, answer));
        wire::end(&mut bytes, begun);
        self.hear(1, bytes, now_us);
    }

    fn word(&mut self, word: &Word<'_>, now_us: u64) {
        let mut bytes = Vec::new();
        put_word(&mut bytes, word);
        self.hear(1, bytes, now_us);
    }

    fn hear(&mut self, number: u64, mut bytes: Vec<u8>, now_us: u64) {
        let all = &self.judged;
        self.crew.heard(0, number, &mut bytes, now_us, &|_, said| all.borrow_mut().push(judged(said)));
    }

    fn judged(&self) -> Vec<Judgement> {
        self.judged.take()
    }

    fn figures(&self) -> Figures {
        self.crew.figures()[0]
    }
}

fn question() -> Question {
    Question::Response(Response {
        key: KeyId::of_place(0),
        pan: hsm::Pan::parse(b"9999150000000015").unwrap(),
        challenge: hsm::Challenge::parse(b"08154711").unwrap(),
        presented: Code::parse(b"984747").unwrap(),
        length: CodeLength::new(6).unwrap(),
    })
}

/// An error as it comes from a worker.
fn error(cause: Cause) -> Result<Answer, HsmError> {
    Err(HsmError { question: Kind::Response, cause, retry: cause.retry() })
}

#[test]
fn a_turns_questions_go_in_one_write_and_answers_become_judgements() {
    let mut stage = Stage::new();
    assert!((0..3).all(|_| stage.ask(0)));
    stage.submit(0);
    assert_eq!(stage.orders(), (vec![0, 1, 2], vec![]));
    // In any order.
    stage.answer(&[(2, error(Cause::Refused)), (0, Ok(Answer::Right)), (1, Ok(Answer::Wrong))], 3, 10);
    assert_eq!(stage.judged(), [Judgement::Unknown, Judgement::Right, Judgement::Wrong]);
    assert_eq!((stage.figures().waiting, stage.figures().derivations), (0, 3));
    assert!(stage.ask(20));
    stage.submit(20);
    assert_eq!(stage.orders().0, [3]);
}

#[test]
fn what_is_not_answered_in_time_opens_the_breaker_and_a_late_answer_is_nobodys() {
    let mut stage = Stage::new();
    assert!(stage.ask(0) && stage.ask(1));
    stage.submit(1);
    stage.submit(DEADLINE_US - 1);
    assert!(stage.crew.is_up());
    stage.submit(DEADLINE_US + 1);
    assert!(!stage.crew.is_up() && !stage.ask(DEADLINE_US + 2));
    assert_eq!((stage.figures().given_up, stage.figures().is_open), (2, true));
    assert_eq!(stage.orders(), (vec![0, 1], vec![]));
    stage.answer(&[(0, Ok(Answer::Right)), (1, Ok(Answer::Right))], 2, 300_000);
    assert_eq!((stage.judged(), stage.figures().late), (vec![], 2));
    // It has caught up, so it is probed at once.
    stage.submit(300_001);
    assert_eq!(stage.orders(), (vec![], vec![1]));
    stage.word(&Word::Standing { probe: 1, fault: "" }, 300_100);
    assert!(stage.crew.is_up() && stage.ask(300_200));
}

#[test]
fn a_worker_that_says_nothing_for_a_second_hangs() {
    let mut stage = Stage::new();
    assert!(stage.ask(0));
    stage.submit(0);
    stage.submit(SILENCE_US - 1);
    assert!(stage.news.try_recv().is_err());
    stage.submit(SILENCE_US);
    let Ok(News::Lost { seat: Seat { shard: 0, place: 0 }, number: 1, why: "it hangs" }) =
        stage.news.try_recv()
    else {
        panic!("lost");
    };
    assert!(!stage.ask(SILENCE_US) && !stage.figures().is_open);
    // Its successor is asked at once; what the first one says now is heard by nobody.
    let (ours, worker) = UnixStream::pair().unwrap();
    stage.worker = worker;
    stage.seat(2, ours);
    assert!(stage.crew.is_up() && stage.ask(SILENCE_US + 1));
    stage.answer(&[(0, Ok(Answer::Right))], 1, SILENCE_US + 2);
    assert_eq!(stage.judged(), []);
    assert_eq!(stage.figures().restarts, 1);
}

#[test]
fn one_that_ends_or_lies_is_lost_and_its_questions_get_no_answer() {
    type Fault = fn(&mut Stage);
    let faults: [Fault; 6] = [
        |stage| stage.answer(&[(2, Ok(Answer::Right))], 1, 5),
        |stage| stage.answer(&[(u64::MAX, Ok(Answer::Right))], 1, 5),
        |stage| stage.word(&Word::Ready, 5),
        |stage| stage.word(&Word::Standing { probe: 1, fault: "" }, 5),
        |stage| stage.hear(1, vec![99; 64], 5),
        |stage| {
            let all = &stage.judged;
            stage.crew.lost(0, 1, "it ended", &|_, said| all.borrow_mut().push(judged(said)));
        },
    ];
    for fault in faults {
        let mut stage = Stage::new();
        assert!(stage.ask(0) && stage.ask(0));
        stage.submit(0);
        fault(&mut stage);
        assert_eq!(stage.judged(), [Judgement::Unknown; 2]);
        assert!(matches!(stage.news.try_recv(), Ok(News::Lost { number: 1, .. })));
        assert!(!stage.ask(6) && stage.figures().waiting == 0);
    }
}

#[test]
fn an_answer_given_twice_is_a_lie() {
    let mut stage = Stage::new();
    assert!(stage.ask(0) && stage.ask(0));
    stage.submit(0);
    stage.answer(&[(1, Ok(Answer::Wrong)), (1, Ok(Answer::Right))], 1, 5);
    assert_eq!(
        stage.judged(),
        [Judgement::Wrong, Judgement::Unknown],
        "the first one, and what still waited"
    );
    assert!(matches!(stage.news.try_recv(), Ok(News::Lost { .. })));
}

#[test]
fn a_worker_is_asked_no_more_than_it_can_answer() {
    let mut stage = Stage::new();
    let asked = (0..2 * WAITING_MAX).take_while(|_| stage.ask(0)).count();
    assert_eq!(asked, WAITING_MAX);
    stage.submit(0);
    let mut seen = 0;
    while seen < asked {
        let orders = stage.orders().0;
        assert_eq!(orders.first(), Some(&(seen as u64)));
        seen += orders.len();
        stage.submit(0);
    }
    assert!(!stage.ask(1) && stage.crew.is_up(), "full is not broken");
}

#[test]
fn errors_that_others_would_meet_open_the_breaker_and_others_do_not() {
    let mut stage = Stage::new();
    let fail = |stage: &mut Stage, cause: Cause| {
        let number = stage.crew.places[0].worker.as_ref().map_or(0, |worker| worker.first);
        assert!(stage.ask(0));
        stage.answer(&[(number, error(cause))], 0, 0);
    };
    (0..20).for_each(|_| fail(&mut stage, Cause::Refused));
    assert_eq!(Cause::Refused.retry(), Retry::Never);
    assert!(stage.crew.is_up());
    (0..5).for_each(|_| fail(&mut stage, Cause::Busy));
    assert!(!stage.crew.is_up());
}

#[test]
fn a_lost_token_is_probed_each_second_and_told_once() {
    let mut stage = Stage::new();
    stage.word(&Word::Lost("no token is labelled \"x\""), 0);
    assert!(!stage.crew.is_up());
    stage.submit(1);
    assert_eq!(stage.orders().1, [1]);
    stage.word(&Word::Standing { probe: 1, fault: "login refused" }, 2);
    assert!(!stage.crew.is_up());
    stage.submit(1_000_001);
    assert_eq!(stage.orders().1, [2]);
    stage.word(&Word::Standing { probe: 2, fault: "" }, 1_000_002);
    assert!(stage.crew.is_up());
}

#[test]
fn a_tired_worker_answers_what_it_was_asked_and_leaves() {
    let mut stage = Stage::new();
    assert!((0..3).all(|_| stage.ask(0)));
    stage.submit(0);
    stage.answer(&[(0, Ok(Answer::Right))], 100, 1);
    assert!(matches!(stage.news.try_recv(), Ok(News::Tired(_))));
    stage.answer(&[(1, Ok(Answer::Right))], 101, 2);
    assert!(stage.news.try_recv().is_err(), "told once");
    let (ours, successor) = UnixStream::pair().unwrap();
    stage.seat(2, ours);
    assert!(stage.ask(3));
    stage.submit(3);
    assert!(stage.news.try_recv().is_err(), "the first one still owes an answer");
    stage.answer(&[(2, Ok(Answer::Wrong))], 102, 4);
    stage.submit(4);
    assert!(matches!(stage.news.try_recv(), Ok(News::Left(1))));
    assert_eq!(stage.judged(), [Judgement::Right, Judgement::Right, Judgement::Wrong]);
    stage.worker = successor;
    assert_eq!(stage.orders().0, [0]);
    assert_eq!((stage.figures().given_up, stage.figures().derivations), (0, 0));
}

#[test]
fn a_deadline_that_a_reload_changes_holds_from_then_on() {
    let mut stage = Stage::new();
    stage.crew.set_deadline(Duration::from_millis(10));
    assert!(stage.ask(0));
    stage.submit(9_999);
    assert!(stage.crew.is_up());
    stage.submit(10_000);
    assert!(!stage.crew.is_up());
}

#[test]
fn a_message_is_told_that_nothing_was_said_of_its_code() {
    let mut stage = Stage::new();
    assert!(stage.ask(1_000));
    assert!(stage.crew.ask(7, Waits::Mac(MacTicket(0)), &question(), 2_000).is_ok());
    stage.submit(3_000);
    assert_eq!(stage.judged(), []);
    // The request before it is not told: the authorizer has declined it by then.
    stage.submit(2_000 + DEADLINE_US);
    assert_eq!(stage.judged(), [Judgement::Unknown]);
    assert_eq!(stage.figures().given_up, 2);
}

#[test]
fn messages_leave_room_for_cards() {
    let mut stage = Stage::new();
    for asked in 0..ROOM {
        assert!(stage.crew.has_room(7), "{asked}");
        assert!(stage.ask(1_000));
    }
    assert!(!stage.crew.has_room(7) && stage.ask(1_000));
    // Where nobody sits, waiting would not help.
    stage.crew.lost(0, 1, "gone", &|_, _| ());
    assert!(stage.crew.has_room(7));
}
