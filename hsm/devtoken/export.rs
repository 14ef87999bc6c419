//! The build script of every package whose programs, tests and benches link the development token: they export
//! the one symbol by which it is reached, and no other.

fn main() {
    println!("cargo::rustc-link-arg=-Wl,--export-dynamic-symbol=C_GetFunctionList");
    println!("cargo::rerun-if-changed=Cargo.toml");
}
