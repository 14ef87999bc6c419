//! What the life of a link asks for, done: network messages sent, every shard told, the link closed.

use std::rc::Rc;

use authorizer::event::{Event, LinkChange};
use authorizer::network::Action;
use codecs::value::NetworkFunction;

use crate::acquirer::link::AcquirerPort;
use crate::edge::Edge;
use crate::issuer::link::IssuerPort;
use crate::wire::Goodbye;

/// Acts for a connection of an acquirer. It is known to be connected from its first moment; signing on only
/// decides whether its requests are taken, which its own task asks.
pub(crate) fn acquirer_acts(edge: &Edge, port: &Rc<AcquirerPort>, action: Action) {
    let name = &edge.setup.start.acquirers[port.acquirer.index()].name;
    match action {
        Action::Nothing | Action::Send(_) => {}
        Action::Up => tracing::info!(acquirer = %name, "acquirer signed on"),
        Action::SignedOff => tracing::info!(acquirer = %name, "acquirer signed off"),
        Action::Close(reason) => port.wire.close(Goodbye::Network(reason)),
    }
}

/// Acts for a link to an issuer. Whether it may carry requests is told to every shard.
pub(crate) fn issuer_acts(edge: &Edge, port: &Rc<IssuerPort>, action: Action) {
    let name = &edge.setup.start.issuers[port.link.issuer.index()].name;
    let link = port.link.link;
    match action {
        Action::Nothing => {}
        Action::Send(function) => port.ask(edge, function),
        Action::Up => {
            tracing::info!(issuer = %name, link, "issuer link up");
            edge.setup.links.insert((port.link.issuer, link), "up");
            edge.happened_everywhere(Event::IssuerLink(port.link, LinkChange::Up));
        }
        Action::SignedOff => {
            tracing::info!(issuer = %name, link, "issuer signed off");
            edge.setup.links.insert((port.link.issuer, link), "signed off");
            edge.happened_everywhere(Event::IssuerLink(port.link, LinkChange::SignedOff));
        }
        Action::Close(reason) => port.wire.close(Goodbye::Network(reason)),
    }
}

/// An operator takes a link out of use, or into it again. Where we sign on, the issuer is told; what runs over the link may
/// end either way.
pub(crate) fn use_issuer(edge: &Edge, port: &Rc<IssuerPort>, on: bool) {
    let issuer = &edge.setup.start.issuers[port.link.issuer.index()];
    let (state, function, change) = match on {
        true => ("up", NetworkFunction::SignOn, LinkChange::Up),
        false => ("out of use", NetworkFunction::SignOff, LinkChange::SignedOff),
    };
    tracing::warn!(issuer = %issuer.name, link = port.link.link, state, "an operator says so");
    if issuer.sign_on {
        port.ask(edge, function);
    }
    edge.setup.links.insert((port.link.issuer, port.link.link), state);
    edge.happened_everywhere(Event::IssuerLink(port.link, change));
}
