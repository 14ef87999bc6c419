//! What the sockets of the switch make of bytes: frames in pieces, flaws, floods, certificates.

#![forbid(unsafe_code)]

mod flaws;
mod frames;
mod hostile;
mod memory;
mod operators;
mod tls;
