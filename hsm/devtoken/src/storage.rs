//! Where the token is at rest: a file in a folder, or the memory of this process.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use cryptoki_sys::{CK_RV, CKR_DEVICE_ERROR, CKR_DEVICE_REMOVED};

/// The place of one token.
pub(crate) enum Storage {
    /// Gone with the process. None: not initialised.
    Memory(Option<Vec<u8>>),
    /// A folder, shared by processes. Without it the token counts as pulled out.
    Folder(PathBuf),
}

impl Storage {
    /// What is there; none where the token was never initialised.
    pub(crate) fn read(&self) -> Result<Option<Vec<u8>>, CK_RV> {
        match self {
            Storage::Memory(image) => Ok(image.clone()),
            Storage::Folder(folder) => match fs::read(folder.join(IMAGE)) {
                Ok(image) => Ok(Some(image)),
                Err(error) if error.kind() == ErrorKind::NotFound && folder.is_dir() => Ok(None),
                Err(_) => Err(CKR_DEVICE_REMOVED),
            },
        }
    }

    /// Whether the token is in its slot.
    pub(crate) fn is_present(&self) -> bool {
        match self {
            Storage::Memory(_) => true,
            Storage::Folder(folder) => folder.is_dir(),
        }
    }

    /// Replaces what is there, whole or not at all.
    pub(crate) fn write(&mut self, image: &[u8]) -> Result<(), CK_RV> {
        match self {
            Storage::Memory(kept) => *kept = Some(image.to_vec()),
            Storage::Folder(folder) => {
                let (whole, part) = (folder.join(IMAGE), folder.join(PART));
                let write = || {
                    let mut file =
                        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
                    file.write_all(image)?;
                    file.sync_all()?;
                    fs::rename(&part, &whole)
                };
                write().map_err(|_| CKR_DEVICE_ERROR)?;
            }
        }
        Ok(())
    }

    /// Keeps other processes from changing it until the result is dropped.
    pub(crate) fn lock(&self) -> Result<Option<File>, CK_RV> {
        let Storage::Folder(folder) = self else { return Ok(None) };
        let lock = || {
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(folder.join(LOCK))?;
            file.lock()?;
            Ok::<_, std::io::Error>(Some(file))
        };
        lock().map_err(|_| CKR_DEVICE_REMOVED)
    }
}

const IMAGE: &str = "devtoken.image";
const PART: &str = "devtoken.image.part";
const LOCK: &str = "devtoken.lock";
