//! `DIR/keys`: the keys of a data directory, wrapped by a token. The token makes of a salt the key that wraps them all, and
//! of another salt another one, so no nonce is used twice under it: the file is only ever written whole, with a new salt.
//!
//! The secret for what must be recognised again is drawn once and stays. Data keys come and go: a rotation draws one more,
//! and takes out those that no file is under any more.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::keys::{Keys, hex, unhex};
use super::{Fault, history, keeper, segment, snapshot};

/// The name of the file.
const NAME: &str = "keys";
const VERSION: u16 = 1;
const KEY_BYTES: usize = 32;

/// Which key of the token wraps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wrapper {
    /// Its label.
    pub(crate) label: String,
    /// Its check value, six hexadecimal digits.
    pub(crate) check_value: String,
}

impl std::fmt::Display for Wrapper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "key {:?} (check value {})", self.label, self.check_value)
    }
}

/// Gives the key that belongs to a salt, as the token makes it, or says why it cannot.
pub(crate) type Ask<'a> = &'a dyn Fn(&[u8; KEY_BYTES]) -> Result<Zeroizing<[u8; KEY_BYTES]>, Fault>;

/// What the file says.
#[derive(Serialize, Deserialize)]
struct Said {
    version: u16,
    wrapper: Wrapper,
    salt: String,
    /// The numbers of the data keys, by age.
    data: Vec<u32>,
    /// The secret and the data keys, encrypted.
    wrapped: String,
}

/// The keys of a directory, in the clear and on their way.
struct Clear {
    lookup: Zeroizing<[u8; KEY_BYTES]>,
    data: Vec<(u32, Zeroizing<[u8; KEY_BYTES]>)>,
}

/// The keys of a data directory, which are made where it has nothing yet.
pub(crate) fn open_or_make(directory: &Path, wrapper: &Wrapper, ask: Ask<'_>) -> Result<Keys, Fault> {
    match read(directory)? {
        Some(said) if said.wrapper == *wrapper => open(directory, &said, ask).map(|clear| clear.keys()),
        Some(said) => Err(Fault::Key(format!(
            "{}: wrapped under {}, and the configuration names {wrapper}; signalbox keys rewrap wraps them anew",
            directory.join(NAME).display(),
            said.wrapper
        ))),
        None if has_files(directory)? => Err(Fault::Key(format!(
            "{}: it was begun with a key file; a journal under a key of the token begins with an empty directory",
            directory.display()
        ))),
        None => {
            let clear = Clear { lookup: drawn()?, data: vec![(1, drawn()?)] };
            write(directory, wrapper, &clear, ask)?;
            Ok(clear.keys())
        }
    }
}

/// The keys of a data directory that has them.
pub(crate) fn keys(
    directory: &Path,
    ask: impl FnOnce(&Wrapper) -> Result<Vault, Fault>,
) -> Result<Keys, Fault> {
    let said = read(directory)?.ok_or_else(|| no_file(directory))?;
    let ask = ask(&said.wrapper)?;
    Ok(open(directory, &said, &*ask)?.keys())
}

/// What answers for a token.
pub(crate) type Vault = Box<dyn Fn(&[u8; KEY_BYTES]) -> Result<Zeroizing<[u8; KEY_BYTES]>, Fault>>;

/// Wraps the keys of a directory under another key of the token, or under the same anew, and draws a data key for what is
/// written from the next start on. Data keys that no file is under any more are taken out. Says which are left.
///
/// # Errors
/// When the token does not answer, or the file cannot be read or written; then everything is as it was.
pub(crate) fn rewrap(
    directory: &Path,
    to: Option<Wrapper>,
    vault: impl Fn(&Wrapper) -> Result<Vault, Fault>,
) -> Result<(Wrapper, Vec<u32>), Fault> {
    let said = read(directory)?.ok_or_else(|| no_file(directory))?;
    let mut clear = open(directory, &said, &*vault(&said.wrapper)?)?;
    let to = to.unwrap_or(said.wrapper);
    let used = used(directory)?;
    let newest = clear.data.last().map_or(0, |(id, _)| *id);
    // A switch that runs goes on writing under the newest.
    clear.data.retain(|(id, _)| *id == newest || used.contains(id));
    clear.data.push((newest + 1, drawn()?));
    write(directory, &to, &clear, &*vault(&to)?)?;
    Ok((to, clear.data.iter().map(|(id, _)| *id).collect()))
}

/// A directory with a key file has no keys in it.
pub(crate) fn insist_on_none(directory: &Path) -> Result<(), Fault> {
    match read(directory)? {
        None => Ok(()),
        Some(said) => Err(Fault::Key(format!(
            "{}: its keys are wrapped under {} of a token, and the configuration names a key file",
            directory.display(),
            said.wrapper
        ))),
    }
}

fn no_file(directory: &Path) -> Fault {
    Fault::Key(format!("{}: its keys are not wrapped by a token", directory.display()))
}

fn read(directory: &Path) -> Result<Option<Said>, Fault> {
    let path = directory.join(NAME);
    let damaged = |why| Fault::Damaged { file: path.clone(), offset: 0, why };
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Fault::store(&path, &error)),
    };
    let said: Said = serde_json::from_slice(&bytes).map_err(|_| damaged("it is no file of wrapped keys"))?;
    if said.version != VERSION {
        return Err(damaged("it is of another version"));
    }
    Ok(Some(said))
}

fn open(directory: &Path, said: &Said, ask: Ask<'_>) -> Result<Clear, Fault> {
    let path = directory.join(NAME);
    let damaged = || Fault::Damaged { file: path.clone(), offset: 0, why: "its keys do not open" };
    let mut salt = [0; KEY_BYTES];
    let mut wrapped = Zeroizing::new(vec![0; said.wrapped.len() / 2]);
    if said.salt.len() != 2 * salt.len()
        || !unhex(said.salt.as_bytes(), &mut salt)
        || !unhex(said.wrapped.as_bytes(), &mut wrapped)
    {
        return Err(damaged());
    }
    let key = ask(&salt).map_err(|fault| unreachable(&said.wrapper, &fault))?;
    let clear =
        sealer(&key).open_in_place(nonce(), Aad::from(head(said)), &mut wrapped).map_err(|_| damaged())?;
    let (lookup, data) = clear.split_first_chunk::<KEY_BYTES>().ok_or_else(damaged)?;
    let (data, rest) = data.as_chunks::<KEY_BYTES>();
    if !rest.is_empty() || data.is_empty() || data.len() != said.data.len() {
        return Err(damaged());
    }
    let data = said.data.iter().zip(data).map(|(id, key)| (*id, Zeroizing::new(*key))).collect();
    Ok(Clear { lookup: Zeroizing::new(*lookup), data })
}

fn write(directory: &Path, wrapper: &Wrapper, clear: &Clear, ask: Ask<'_>) -> Result<(), Fault> {
    let salt = drawn()?;
    let key = ask(&salt).map_err(|fault| unreachable(wrapper, &fault))?;
    let data = clear.data.iter().map(|(id, _)| *id).collect();
    let mut said =
        Said { version: VERSION, wrapper: wrapper.clone(), salt: hex(&*salt), data, wrapped: String::new() };
    let mut text = Zeroizing::new(Vec::with_capacity(KEY_BYTES * (clear.data.len() + 1) + 16));
    text.extend_from_slice(&*clear.lookup);
    clear.data.iter().for_each(|(_, key)| text.extend_from_slice(&**key));
    let sealed = sealer(&key).seal_in_place_append_tag(nonce(), Aad::from(head(&said)), &mut *text);
    sealed.expect("a few keys can be encrypted");
    said.wrapped = hex(&text);
    put(directory, &serde_json::to_vec_pretty(&said).expect("numbers and text are JSON"))
}

/// Whole or not at all.
fn put(directory: &Path, text: &[u8]) -> Result<(), Fault> {
    let (path, unfinished) = (directory.join(NAME), directory.join("keys.next"));
    let write = || {
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = keeper::create(&unfinished)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(|error| Fault::store(&path, &error))
}

/// What cannot be changed without the token.
fn head(said: &Said) -> String {
    format!(
        "signalbox {} {:?} {} {:?}",
        said.version, said.wrapper.label, said.wrapper.check_value, said.data
    )
}

fn unreachable(wrapper: &Wrapper, fault: &Fault) -> Fault {
    let said = format!("the journal's keys cannot be unwrapped without {wrapper} of the token: {fault}");
    if matches!(fault, Fault::Config(_)) { Fault::Config(said) } else { Fault::Key(said) }
}

fn sealer(key: &[u8; KEY_BYTES]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("32 bytes are a key of AES-256"))
}

/// A key that the token makes encrypts one text.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

fn drawn() -> Result<Zeroizing<[u8; KEY_BYTES]>, Fault> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(&mut key[..]).map_err(|error| Fault::Store(format!("no randomness: {error}")))?;
    Ok(key)
}

impl Clear {
    fn keys(&self) -> Keys {
        let data: Vec<(u32, &[u8; KEY_BYTES])> = self.data.iter().map(|(id, key)| (*id, &**key)).collect();
        Keys::of(&self.lookup, &data)
    }
}

/// Every segment and snapshot.
fn files(directory: &Path) -> Result<Vec<PathBuf>, Fault> {
    let mut files = Vec::new();
    let Ok(shards) = history::shards(directory) else { return Ok(files) };
    for shard in shards {
        let folder = segment::folder(directory, shard);
        for number in segment::numbers(&folder, segment::ENDING)? {
            files.push(folder.join(segment::file_name(number)));
        }
        for number in snapshot::numbers(directory, shard, u64::MAX)? {
            files.push(folder.join(snapshot::file_name(number)));
        }
    }
    Ok(files)
}

fn has_files(directory: &Path) -> Result<bool, Fault> {
    Ok(!files(directory)?.is_empty())
}

/// The data keys that files are under.
fn used(directory: &Path) -> Result<BTreeSet<u32>, Fault> {
    let mut used = BTreeSet::new();
    for file in files(directory)? {
        used.extend(segment::opening(&file)?.map(|(opening, _)| opening.key));
    }
    Ok(used)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("signalbox-wrapped-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("a folder");
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn wrapper(label: &str) -> Wrapper {
        Wrapper { label: label.to_owned(), check_value: "0A1B2C".to_owned() }
    }

    /// A token whose keys are told apart by a byte.
    fn token(of: u8) -> Vault {
        Box::new(move |salt| Ok(Zeroizing::new(salt.map(|byte| byte ^ of))))
    }

    #[test]
    fn the_keys_come_back_and_no_byte_can_be_changed() {
        let scratch = Scratch::new("back");
        let made = open_or_make(&scratch.0, &wrapper("a"), &*token(1)).expect("made");
        let opened = open_or_make(&scratch.0, &wrapper("a"), &*token(1)).expect("opened");
        assert_eq!((made.of_identities(), made.newest()), (opened.of_identities(), opened.newest()));
        assert!(matches!(open_or_make(&scratch.0, &wrapper("b"), &*token(1)), Err(Fault::Key(_))));
        assert!(matches!(open_or_make(&scratch.0, &wrapper("a"), &*token(2)), Err(Fault::Damaged { .. })));
        let gone = |_: &[u8; 32]| Err(Fault::Key("it is gone".to_owned()));
        let fault = open_or_make(&scratch.0, &wrapper("a"), &gone).err().expect("no key");
        assert!(matches!(&fault, Fault::Key(why) if why.contains("it is gone")), "{fault}");
        let bytes = fs::read(scratch.0.join(NAME)).expect("our own");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            fs::write(scratch.0.join(NAME), &changed).expect("our own");
            let same =
                |keys: Keys| (keys.of_identities(), keys.newest()) == (made.of_identities(), made.newest());
            // White space may be another one.
            assert!(open_or_make(&scratch.0, &wrapper("a"), &*token(1)).map_or(true, same), "byte {at}");
        }
    }

    #[test]
    fn wrapped_anew_the_secret_stays_and_a_data_key_is_added() {
        let scratch = Scratch::new("anew");
        let before = open_or_make(&scratch.0, &wrapper("a"), &*token(1)).expect("made");
        let vault = |wrapper: &Wrapper| Ok(token(if wrapper.label == "a" { 1 } else { 2 }));
        let (now, left) = rewrap(&scratch.0, Some(wrapper("b")), vault).expect("wrapped");
        assert_eq!((now, left), (wrapper("b"), vec![1, 2]));
        let after = open_or_make(&scratch.0, &wrapper("b"), &*token(2)).expect("opened");
        assert_eq!(before.of_identities(), after.of_identities());
        assert_eq!(after.newest().0, 2);
        // Nothing was ever written under the first.
        assert_eq!(rewrap(&scratch.0, None, vault).expect("wrapped").1, vec![2, 3]);
        assert!(matches!(insist_on_none(&scratch.0), Err(Fault::Key(_))));
    }
}
