//! What the sockets of the switch make of bytes: frames in pieces, flaws, floods, certificates (B1-B11
//! B1 to B11 and 3.4).

#![forbid(unsafe_code)]

mod flaws;
mod frames;
mod hostile;
mod memory;
mod tls;
