//! The token in its slot: sessions, who is logged in, keys, and what may be done with them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cryptoki_sys::{
    CK_ATTRIBUTE_TYPE, CK_FLAGS, CK_MECHANISM_TYPE, CK_OBJECT_HANDLE, CK_RV, CK_SESSION_HANDLE, CK_USER_TYPE,
    CKA_DECRYPT, CKA_DESTROYABLE, CKA_ENCRYPT, CKA_PRIVATE, CKA_SIGN, CKA_TOKEN, CKA_VERIFY, CKF_RW_SESSION,
    CKF_SERIAL_SESSION, CKR_ACTION_PROHIBITED, CKR_DEVICE_REMOVED, CKR_KEY_FUNCTION_NOT_PERMITTED,
    CKR_MECHANISM_INVALID, CKR_OBJECT_HANDLE_INVALID, CKR_OPERATION_ACTIVE, CKR_OPERATION_NOT_INITIALIZED,
    CKR_PIN_LEN_RANGE, CKR_SESSION_EXISTS, CKR_SESSION_HANDLE_INVALID, CKR_SESSION_PARALLEL_NOT_SUPPORTED,
    CKR_SESSION_READ_ONLY, CKR_SESSION_READ_ONLY_EXISTS, CKR_SESSION_READ_WRITE_SO_EXISTS,
    CKR_TOKEN_NOT_RECOGNIZED, CKR_USER_ALREADY_LOGGED_IN, CKR_USER_ANOTHER_ALREADY_LOGGED_IN,
    CKR_USER_NOT_LOGGED_IN, CKR_USER_PIN_NOT_INITIALIZED, CKR_USER_TYPE_INVALID, CKU_SO, CKU_USER,
};

use crate::attribute::Template;
use crate::image::{DataKey, Image, Objects};
use crate::mechanism;
use crate::object::Object;
use crate::operation::{Crypt, Mac, Operation, Purpose, Way};
use crate::storage::Storage;
use crate::{FOLDER_VARIABLE, WITHOUT_VARIABLE};

/// Everything there is between `C_Initialize` and `C_Finalize`.
pub(crate) struct Module {
    storage: Storage,
    without: Vec<CK_MECHANISM_TYPE>,
    login: Option<Login>,
    sessions: BTreeMap<CK_SESSION_HANDLE, Session>,
    /// Session keys, and those of the token while somebody is logged in.
    objects: Objects,
    /// Which of the token's changes `objects` holds.
    generation: u64,
    next_session: CK_SESSION_HANDLE,
    next_object: CK_OBJECT_HANDLE,
}

struct Login {
    user: CK_USER_TYPE,
    key: DataKey,
}

/// One session.
pub(crate) struct Session {
    pub(crate) is_rw: bool,
    pub(crate) operation: Option<Operation>,
}

/// Handles of session keys begin here; those below are the token's.
const FIRST_SESSION_KEY: CK_OBJECT_HANDLE = 1 << 40;

impl Module {
    /// As the environment says.
    pub(crate) fn new() -> Module {
        let folder = std::env::var_os(FOLDER_VARIABLE).filter(|folder| !folder.is_empty());
        let storage = folder.map_or(Storage::Memory(None), |folder| Storage::Folder(PathBuf::from(folder)));
        let without = std::env::var(WITHOUT_VARIABLE).unwrap_or_default();
        let named = |name: &str| mechanism::ALL.iter().find(|mechanism| mechanism.name == name.trim());
        Module {
            storage,
            without: without.split(',').filter_map(named).map(|mechanism| mechanism.number).collect(),
            login: None,
            sessions: BTreeMap::new(),
            objects: Objects::new(),
            generation: 0,
            next_session: 1,
            next_object: FIRST_SESSION_KEY,
        }
    }

    pub(crate) fn is_present(&self) -> bool {
        self.storage.is_present()
    }

    /// The token at rest; none before it is initialised.
    pub(crate) fn image(&self) -> Result<Option<Image>, CK_RV> {
        let Some(bytes) = self.storage.read()? else { return Ok(None) };
        Image::parse(&bytes).map(Some).ok_or(CKR_TOKEN_NOT_RECOGNIZED)
    }

    /// An error once the token was pulled out of its slot.
    fn insist_on_presence(&self) -> Result<(), CK_RV> {
        if self.storage.is_present() { Ok(()) } else { Err(CKR_DEVICE_REMOVED) }
    }

    /// The mechanisms there are.
    pub(crate) fn mechanisms(&self) -> impl Iterator<Item = &'static mechanism::Mechanism> {
        mechanism::ALL.iter().filter(|mechanism| !self.without.contains(&mechanism.number))
    }

    /// An error where there is no such mechanism.
    pub(crate) fn insist_on_mechanism(&self, number: CK_MECHANISM_TYPE) -> Result<(), CK_RV> {
        let is_there = self.mechanisms().any(|mechanism| mechanism.number == number);
        if is_there { Ok(()) } else { Err(CKR_MECHANISM_INVALID) }
    }

    // === The token ===

    /// Makes it new, and empty.
    pub(crate) fn initialise(&mut self, officer_pin: &[u8], label: [u8; 32]) -> Result<(), CK_RV> {
        if !self.sessions.is_empty() {
            return Err(CKR_SESSION_EXISTS);
        }
        fits_as_pin(officer_pin)?;
        let _lock = self.storage.lock()?;
        if let Some(before) = self.image()? {
            before.open_as_officer(officer_pin)?;
        }
        let (image, _) = Image::new(label, officer_pin)?;
        self.storage.write(&image.to_bytes())
    }

    /// Gives the user a PIN, as the officer.
    pub(crate) fn initialise_pin(&mut self, session: CK_SESSION_HANDLE, pin: &[u8]) -> Result<(), CK_RV> {
        self.session(session)?;
        fits_as_pin(pin)?;
        let login = self.login.as_ref().filter(|login| login.user == CKU_SO).ok_or(CKR_USER_NOT_LOGGED_IN)?;
        let _lock = self.storage.lock()?;
        let mut image = self.image()?.ok_or(CKR_DEVICE_REMOVED)?;
        image.set_user_pin(pin, &login.key)?;
        self.storage.write(&image.to_bytes())
    }

    /// Changes a PIN: the officer's while the officer is logged in, otherwise the user's.
    pub(crate) fn set_pin(
        &mut self,
        session: CK_SESSION_HANDLE,
        old: &[u8],
        new: &[u8],
    ) -> Result<(), CK_RV> {
        if !self.session(session)?.is_rw {
            return Err(CKR_SESSION_READ_ONLY);
        }
        fits_as_pin(new)?;
        let _lock = self.storage.lock()?;
        let mut image = self.image()?.ok_or(CKR_DEVICE_REMOVED)?;
        if self.login.as_ref().is_some_and(|login| login.user == CKU_SO) {
            let key = image.open_as_officer(old)?;
            image.set_officer_pin(new, &key)?;
        } else {
            let key = image.open_as_user(old).ok_or(CKR_USER_PIN_NOT_INITIALIZED)??;
            image.set_user_pin(new, &key)?;
        }
        self.storage.write(&image.to_bytes())
    }

    // === Sessions ===

    pub(crate) fn open_session(&mut self, flags: CK_FLAGS) -> Result<CK_SESSION_HANDLE, CK_RV> {
        if flags & CKF_SERIAL_SESSION == 0 {
            return Err(CKR_SESSION_PARALLEL_NOT_SUPPORTED);
        }
        self.image()?.ok_or(CKR_TOKEN_NOT_RECOGNIZED)?;
        let is_rw = flags & CKF_RW_SESSION != 0;
        if !is_rw && self.login.as_ref().is_some_and(|login| login.user == CKU_SO) {
            return Err(CKR_SESSION_READ_WRITE_SO_EXISTS);
        }
        let handle = self.next_session;
        self.next_session += 1;
        self.sessions.insert(handle, Session { is_rw, operation: None });
        Ok(handle)
    }

    pub(crate) fn close_session(&mut self, handle: CK_SESSION_HANDLE) -> Result<(), CK_RV> {
        self.sessions.remove(&handle).ok_or(CKR_SESSION_HANDLE_INVALID)?;
        self.objects.retain(|_, object| object.owner != Some(handle));
        if self.sessions.is_empty() {
            self.forget_login();
        }
        Ok(())
    }

    pub(crate) fn close_all_sessions(&mut self) {
        self.sessions.clear();
        self.objects.clear();
        self.forget_login();
    }

    pub(crate) fn session(&mut self, handle: CK_SESSION_HANDLE) -> Result<&mut Session, CK_RV> {
        self.sessions.get_mut(&handle).ok_or(CKR_SESSION_HANDLE_INVALID)
    }

    pub(crate) fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values()
    }

    pub(crate) fn user(&self) -> Option<CK_USER_TYPE> {
        self.login.as_ref().map(|login| login.user)
    }

    pub(crate) fn log_in(
        &mut self,
        session: CK_SESSION_HANDLE,
        user: CK_USER_TYPE,
        pin: &[u8],
    ) -> Result<(), CK_RV> {
        self.session(session)?;
        match (self.user(), user) {
            (Some(who), _) if who == user => return Err(CKR_USER_ALREADY_LOGGED_IN),
            (Some(_), CKU_SO | CKU_USER) => return Err(CKR_USER_ANOTHER_ALREADY_LOGGED_IN),
            (None, CKU_SO) if self.sessions().any(|session| !session.is_rw) => {
                return Err(CKR_SESSION_READ_ONLY_EXISTS);
            }
            (None, CKU_SO | CKU_USER) => (),
            _ => return Err(CKR_USER_TYPE_INVALID),
        }
        let image = self.image()?.ok_or(CKR_DEVICE_REMOVED)?;
        let key = if user == CKU_SO {
            image.open_as_officer(pin)?
        } else {
            image.open_as_user(pin).ok_or(CKR_USER_PIN_NOT_INITIALIZED)??
        };
        self.login = Some(Login { user, key });
        self.load(&image)
    }

    pub(crate) fn log_out(&mut self, session: CK_SESSION_HANDLE) -> Result<(), CK_RV> {
        self.session(session)?;
        if self.login.is_none() {
            return Err(CKR_USER_NOT_LOGGED_IN);
        }
        self.forget_login();
        Ok(())
    }

    /// Nobody is logged in any more: the token's keys are out of memory, and private session keys are gone.
    fn forget_login(&mut self) {
        self.login = None;
        self.generation = 0;
        self.objects.retain(|_, object| object.owner.is_some() && !object.flag(CKA_PRIVATE));
    }

    // === Keys ===

    /// Takes the token's keys into memory.
    fn load(&mut self, image: &Image) -> Result<(), CK_RV> {
        let Some(login) = self.login.as_ref().filter(|login| login.user == CKU_USER) else { return Ok(()) };
        let on_token = image.objects(&login.key)?;
        self.objects.retain(|_, object| object.owner.is_some());
        self.objects.extend(on_token);
        self.generation = image.generation;
        Ok(())
    }

    /// Looks whether another process changed the token.
    pub(crate) fn look_again(&mut self) -> Result<(), CK_RV> {
        match self.image()? {
            Some(image) if image.generation != self.generation => self.load(&image),
            Some(_) => Ok(()),
            None => Err(CKR_DEVICE_REMOVED),
        }
    }

    /// Changes the token's keys, in memory and at rest, or neither.
    fn change_token<T>(
        &mut self,
        change: impl FnOnce(&mut Objects, &mut CK_OBJECT_HANDLE) -> Result<T, CK_RV>,
    ) -> Result<T, CK_RV> {
        let login =
            self.login.as_ref().filter(|login| login.user == CKU_USER).ok_or(CKR_USER_NOT_LOGGED_IN)?;
        let _lock = self.storage.lock()?;
        let mut image = self.image()?.ok_or(CKR_DEVICE_REMOVED)?;
        let mut objects = image.objects(&login.key)?;
        let outcome = change(&mut objects, &mut image.next_object)?;
        image.set_objects(&objects, &login.key)?;
        image.generation += 1;
        self.storage.write(&image.to_bytes())?;
        self.load(&image)?;
        Ok(outcome)
    }

    /// Keeps a key where its attributes say.
    pub(crate) fn keep(
        &mut self,
        session: CK_SESSION_HANDLE,
        mut object: Object,
    ) -> Result<CK_OBJECT_HANDLE, CK_RV> {
        let is_rw = self.session(session)?.is_rw;
        self.insist_on_presence()?;
        if object.flag(CKA_PRIVATE) && self.user() != Some(CKU_USER) {
            return Err(CKR_USER_NOT_LOGGED_IN);
        }
        if object.flag(CKA_TOKEN) {
            if !is_rw {
                return Err(CKR_SESSION_READ_ONLY);
            }
            object.owner = None;
            return self.change_token(|objects, next| {
                let handle = *next;
                *next += 1;
                objects.insert(handle, object);
                Ok(handle)
            });
        }
        object.owner = Some(session);
        let handle = self.next_object;
        self.next_object += 1;
        self.objects.insert(handle, object);
        Ok(handle)
    }

    pub(crate) fn object(&self, handle: CK_OBJECT_HANDLE) -> Result<&Object, CK_RV> {
        self.objects.get(&handle).ok_or(CKR_OBJECT_HANDLE_INVALID)
    }

    /// Changes a key that is kept; none of it when the change is refused.
    pub(crate) fn change_object(
        &mut self,
        session: CK_SESSION_HANDLE,
        handle: CK_OBJECT_HANDLE,
        template: &Template,
    ) -> Result<(), CK_RV> {
        let is_rw = self.session(session)?.is_rw;
        let mut changed = self.object(handle)?.clone();
        changed.change(template, false)?;
        if changed.owner.is_some() {
            self.objects.insert(handle, changed);
            return Ok(());
        }
        if !is_rw {
            return Err(CKR_SESSION_READ_ONLY);
        }
        self.change_token(|objects, _| {
            objects.insert(handle, changed).map(drop).ok_or(CKR_OBJECT_HANDLE_INVALID)
        })
    }

    pub(crate) fn destroy(
        &mut self,
        session: CK_SESSION_HANDLE,
        handle: CK_OBJECT_HANDLE,
    ) -> Result<(), CK_RV> {
        let is_rw = self.session(session)?.is_rw;
        let object = self.object(handle)?;
        if !object.flag(CKA_DESTROYABLE) {
            return Err(CKR_ACTION_PROHIBITED);
        }
        if object.owner.is_some() {
            self.objects.remove(&handle);
            return Ok(());
        }
        if !is_rw {
            return Err(CKR_SESSION_READ_ONLY);
        }
        self.change_token(|objects, _| objects.remove(&handle).map(drop).ok_or(CKR_OBJECT_HANDLE_INVALID))
    }

    /// The keys that match, in the order they were made.
    pub(crate) fn find(&self, template: &Template) -> Vec<CK_OBJECT_HANDLE> {
        let is_user = self.user() == Some(CKU_USER);
        let found = self.objects.iter().filter(|(_, object)| is_user || !object.flag(CKA_PRIVATE));
        found.filter(|(_, object)| object.matches(template)).map(|(handle, _)| *handle).collect()
    }

    /// A key, if it may be used for this, by this mechanism.
    pub(crate) fn usable(
        &self,
        handle: CK_OBJECT_HANDLE,
        what_for: CK_ATTRIBUTE_TYPE,
        mechanism: CK_MECHANISM_TYPE,
    ) -> Result<&Object, CK_RV> {
        self.insist_on_presence()?;
        let object = self.object(handle)?;
        if object.flag(CKA_PRIVATE) && self.user() != Some(CKU_USER) {
            return Err(CKR_USER_NOT_LOGGED_IN);
        }
        if !object.flag(what_for) {
            return Err(CKR_KEY_FUNCTION_NOT_PERMITTED);
        }
        self.insist_on_mechanism(mechanism)?;
        if object.allows(mechanism) { Ok(object) } else { Err(CKR_MECHANISM_INVALID) }
    }

    // === Operations ===

    pub(crate) fn insist_on_idle(&mut self, session: CK_SESSION_HANDLE) -> Result<(), CK_RV> {
        match self.session(session)?.operation {
            None => Ok(()),
            Some(_) => Err(CKR_OPERATION_ACTIVE),
        }
    }

    pub(crate) fn start_crypt(
        &mut self,
        session: CK_SESSION_HANDLE,
        way: Way,
        (mechanism, parameter): (CK_MECHANISM_TYPE, &[u8]),
        key: CK_OBJECT_HANDLE,
    ) -> Result<(), CK_RV> {
        self.insist_on_idle(session)?;
        let what_for = if way == Way::Encrypt { CKA_ENCRYPT } else { CKA_DECRYPT };
        let crypt = Crypt::new(way, mechanism, parameter, self.usable(key, what_for, mechanism)?)?;
        self.session(session)?.operation = Some(Operation::Crypt(crypt));
        Ok(())
    }

    pub(crate) fn start_mac(
        &mut self,
        session: CK_SESSION_HANDLE,
        purpose: Purpose,
        mechanism: CK_MECHANISM_TYPE,
        key: CK_OBJECT_HANDLE,
    ) -> Result<(), CK_RV> {
        self.insist_on_idle(session)?;
        let what_for = if purpose == Purpose::Sign { CKA_SIGN } else { CKA_VERIFY };
        let mac = Mac::new(purpose, mechanism, self.usable(key, what_for, mechanism)?)?;
        self.session(session)?.operation = Some(Operation::Mac(mac));
        Ok(())
    }

    pub(crate) fn crypt(&mut self, session: CK_SESSION_HANDLE, way: Way) -> Result<&mut Crypt, CK_RV> {
        match &mut self.session(session)?.operation {
            Some(Operation::Crypt(crypt)) if crypt.way == way => Ok(crypt),
            _ => Err(CKR_OPERATION_NOT_INITIALIZED),
        }
    }

    pub(crate) fn mac(&mut self, session: CK_SESSION_HANDLE, purpose: Purpose) -> Result<&mut Mac, CK_RV> {
        match &mut self.session(session)?.operation {
            Some(Operation::Mac(mac)) if mac.purpose == purpose => Ok(mac),
            _ => Err(CKR_OPERATION_NOT_INITIALIZED),
        }
    }

    /// Ends what the session is in the middle of.
    pub(crate) fn end(&mut self, session: CK_SESSION_HANDLE) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.operation = None;
        }
    }
}

fn fits_as_pin(pin: &[u8]) -> Result<(), CK_RV> {
    if PIN_BYTES.contains(&pin.len()) { Ok(()) } else { Err(CKR_PIN_LEN_RANGE) }
}

/// How long a PIN may be.
pub(crate) const PIN_BYTES: std::ops::RangeInclusive<usize> = 4..=255;
