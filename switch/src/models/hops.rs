//! One shard or two send, another receives: `hop/mailbox.rs`.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use authorizer::event::ShardId;
use loom::thread;

use super::in_every_order;
use super::mailbox::{Mailbox, Overflow};
use super::sync::{Mistake, Token, block_on, has};

/// The only one that receives.
const HERE: ShardId = ShardId(0);

/// Who sent it, and as its how-manieth.
type Hop = (usize, usize);

/// Each of these senders sends so many through a queue with so few places, and all of them come, each sender's in its
/// order.
fn all_arrive_in_order(senders: usize, hops: usize, places: usize, mistake: Mistake) {
    in_every_order(mistake, move || {
        let mailboxes = Rc::new([Mailbox::new(places)]);
        let room: Vec<_> = (0..senders).map(|_| Token::new()).collect();
        let send = |(sender, room): (usize, &Arc<Token>)| {
            let (mailboxes, room) = (mailboxes.clone(), room.clone());
            thread::spawn(move || send_all(&*mailboxes, sender, hops, &room))
        };
        let sending: Vec<_> = room.iter().enumerate().map(send).collect();
        let received = block_on(receive_all(&mailboxes[0], senders * hops, &room));
        sending.into_iter().for_each(|sender| sender.join().expect("it sent"));
        let surplus = mailboxes[0].receive(&Context::from_waker(Waker::noop()));
        assert!(surplus.is_none(), "a hop came twice");
        for sender in 0..senders {
            let of_it = received.iter().filter(|hop| hop.0 == sender).map(|hop| hop.1);
            assert!(of_it.eq(0..hops), "a sender's hops came in another order, or twice: {received:?}");
        }
    });
}

/// A shard that sends, and tries again what found no room, as `serve::retry` does.
fn send_all(mailboxes: &[Mailbox<Hop>], sender: usize, hops: usize, room: &Token) {
    let overflow = Overflow::new(mailboxes.len());
    for hop in 0..hops {
        if has(Mistake::Overtaken) && hop > 0 && mailboxes[0].send((sender, hop)).is_ok() {
            continue;
        }
        overflow.send(mailboxes, HERE, (sender, hop));
    }
    while overflow.drain(mailboxes) {
        // In the switch a millisecond, after which there may be room.
        room.wait();
    }
}

/// A shard that takes what there is and sleeps, as `serve::mail` does.
async fn receive_all(mailbox: &Mailbox<Hop>, wanted: usize, room: &[Arc<Token>]) -> Vec<Hop> {
    let mut received = Vec::new();
    poll_fn(|context| {
        while received.len() < wanted {
            match mailbox.receive(context) {
                Some(hop) => {
                    received.push(hop);
                    room.iter().for_each(|sender| sender.set());
                }
                None => return Poll::Pending,
            }
        }
        Poll::Ready(())
    })
    .await;
    received
}

#[test]
fn every_hop_wakes_its_receiver() {
    all_arrive_in_order(2, 1, 2, Mistake::None);
}

#[test]
fn hops_that_find_no_room_arrive_in_order() {
    all_arrive_in_order(2, 1, 1, Mistake::None);
    all_arrive_in_order(1, 3, 1, Mistake::None);
}

/// The models must find what is planted before their silence counts.
mod planted {
    use super::*;

    #[test]
    #[should_panic(expected = "deadlock")]
    fn a_receiver_that_does_not_say_that_it_waits_is_found() {
        all_arrive_in_order(2, 1, 2, Mistake::NotRegistered);
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn a_receiver_that_does_not_look_again_is_found() {
        all_arrive_in_order(2, 1, 2, Mistake::NotLookedAgain);
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn a_sender_that_wakes_nobody_is_found() {
        all_arrive_in_order(2, 1, 2, Mistake::NotWoken);
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn a_hop_that_is_dropped_is_found() {
        all_arrive_in_order(1, 3, 1, Mistake::Dropped);
    }

    #[test]
    #[should_panic(expected = "in another order")]
    fn a_hop_that_overtakes_is_found() {
        all_arrive_in_order(1, 3, 1, Mistake::Overtaken);
    }
}
