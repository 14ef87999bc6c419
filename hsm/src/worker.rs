//! The other end of [`wire`](crate::wire): a process that holds a token, and does nothing but answer.
//!
//! It takes whatever waits in the stream, answers it in batches and writes each batch's answers at once. It has no
//! clock: who asks gives up, and kills a worker that hangs.

use std::io::{self, ErrorKind, Read, Write};

use zeroize::Zeroize;

use crate::device::Device;
use crate::plan::Plan;
use crate::question::Question;
use crate::wire::{self, FRAME_BYTES_MAX, HEADER_BYTES, Order, Word};

/// Most questions that are answered before their answers are written: more would keep the first ones waiting.
const BATCH_MAX: usize = 256;

/// Serves whoever holds the other end, until that is closed. The first order must be a plan. `opened` is called when the token
/// was opened, or could not be, and says whether to go on.
///
/// # Errors
/// The stream's, what came over it that is no order, and that of `opened`.
pub fn serve(stream: &mut (impl Read + Write), opened: impl FnOnce() -> io::Result<bool>) -> io::Result<()> {
    let mut inbox = Inbox::default();
    let Some(plan) = inbox.plan(stream)? else { return Ok(()) };
    let mut out = Vec::new();
    let device = Device::open(plan, true);
    if !opened()? {
        return Ok(());
    }
    match &device {
        Ok(_) => wire::put_word(&mut out, &Word::Ready),
        Err(why) => wire::put_word(&mut out, &Word::Refused { blame: why.blame(), why: &why.to_string() }),
    }
    stream.write_all(&out)?;
    let Ok(device) = device else { return Ok(()) };
    let mut worker = Worker { device, numbers: Vec::new(), questions: Vec::new(), out };
    loop {
        worker.work(&mut inbox, stream)?;
        if !inbox.read(stream)? {
            return Ok(());
        }
    }
}

struct Worker {
    device: Device,
    numbers: Vec<u64>,
    questions: Vec<Question>,
    out: Vec<u8>,
}

impl Worker {
    /// Does everything that has arrived.
    fn work(&mut self, inbox: &mut Inbox, stream: &mut impl Write) -> io::Result<()> {
        while let Some((order, taken)) = wire::order(inbox.unread()).map_err(|_| no_order())? {
            match order {
                Order::SetUp(_) => return Err(no_order()),
                Order::Ask(questions) => {
                    for asked in questions {
                        let (number, question) = asked.map_err(|_| no_order())?;
                        self.numbers.push(number);
                        self.questions.push(question);
                    }
                }
                Order::Probe(probe) => {
                    self.answer(stream)?;
                    self.stand(probe, stream)?;
                }
            }
            inbox.took(taken);
            if self.questions.len() >= BATCH_MAX {
                self.answer(stream)?;
            }
        }
        self.answer(stream)
    }

    fn answer(&mut self, stream: &mut impl Write) -> io::Result<()> {
        let was_there = self.device.fault().is_none();
        for (numbers, questions) in self.numbers.chunks(BATCH_MAX).zip(self.questions.chunks(BATCH_MAX)) {
            let answers = self.device.answer(questions);
            self.out.clear();
            let begun = wire::begin_answers(&mut self.out, self.device.derivations());
            for (number, answer) in numbers.iter().zip(&answers) {
                wire::put_answer(&mut self.out, *number, answer);
            }
            wire::end(&mut self.out, begun);
            stream.write_all(&self.out)?;
        }
        self.numbers.clear();
        self.questions.clear();
        match self.device.fault() {
            Some(why) if was_there => say(&Word::Lost(why), stream),
            _ => Ok(()),
        }
    }

    fn stand(&mut self, probe: u64, stream: &mut impl Write) -> io::Result<()> {
        let fault = self.device.probe().err().unwrap_or_default();
        say(&Word::Standing { probe, fault }, stream)
    }
}

fn say(word: &Word<'_>, stream: &mut impl Write) -> io::Result<()> {
    let mut out = Vec::new();
    wire::put_word(&mut out, word);
    stream.write_all(&out)
}

fn no_order() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "what came is no order for a worker")
}

/// What was read and not done yet. Codes and a PIN are in it, so what was taken is wiped.
#[derive(Default)]
struct Inbox {
    bytes: Vec<u8>,
    head: usize,
    tail: usize,
}

impl Inbox {
    fn unread(&self) -> &[u8] {
        &self.bytes[self.head..self.tail]
    }

    fn took(&mut self, bytes: usize) {
        self.bytes[self.head..self.head + bytes].zeroize();
        self.head += bytes;
    }

    /// Reads what has come, at least something. False at the end of the stream.
    fn read(&mut self, stream: &mut impl Read) -> io::Result<bool> {
        // Room for two frames: one that is not whole yet, and more behind it.
        self.bytes.resize(2 * (HEADER_BYTES + FRAME_BYTES_MAX), 0);
        if self.head > 0 {
            self.bytes.copy_within(self.head..self.tail, 0);
            self.bytes[self.tail - self.head..self.tail].zeroize();
            self.tail -= self.head;
            self.head = 0;
        }
        loop {
            match stream.read(&mut self.bytes[self.tail..]) {
                Ok(read) => {
                    self.tail += read;
                    return Ok(read > 0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Err(error) => return Err(error),
            }
        }
    }

    fn plan(&mut self, stream: &mut impl Read) -> io::Result<Option<Plan>> {
        while self.read(stream)? {
            match wire::order(self.unread()).map_err(|_| no_order())? {
                None => (),
                Some((Order::SetUp(plan), taken)) => {
                    self.took(taken);
                    return Ok(Some(plan));
                }
                Some(_) => return Err(no_order()),
            }
        }
        Ok(None)
    }
}
