//! A token for one test, of each module there is: the same cases run over all of them, so that they check each
//! other.
//!
//! A module reads its configuration once per process. A test therefore starts its own binary again, once for
//! each module, for itself alone and with a token directory of its own. A further module is one more
//! [`Module`].

#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "shared by the unit tests and the conformance suite, each of which uses a part"
)]

mod vectors;

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, process};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;

pub use vectors::{Vector, hex, vectors};

/// The label of the token.
pub const LABEL: &str = "signalbox-test";
/// The PIN of its user.
pub const PIN: &str = "4711-0815";

/// CKM_DES3_ECB
pub const DES3_ECB: u64 = 0x132;
/// CKM_DES3_ECB_ENCRYPT_DATA
pub const DES3_DERIVE: u64 = 0x1102;
/// CKM_DES3_CBC
pub const DES3_CBC: u64 = 0x133;
/// CKM_DES3_CMAC
pub const DES3_CMAC: u64 = 0x138;
/// CKM_AES_CMAC
pub const AES_CMAC: u64 = 0x108A;
/// CKM_SHA256_HMAC
pub const HMAC: u64 = 0x251;
/// CKM_AES_ECB
pub const AES_ECB: u64 = 0x1081;
/// CKM_AES_ECB_ENCRYPT_DATA
pub const AES_DERIVE: u64 = 0x1104;

const SO_PIN: &str = "9999-9999";
const CHILD: &str = "SIGNALBOX_TOKEN_TEST";

/// A PKCS#11 module that every case runs over.
struct Module {
    name: &'static str,
    /// Where its library may be. None: it is linked into this program.
    places: &'static [&'static str],
    /// Writes what its process needs into a folder, without the mechanisms named, and tells the variables of the
    /// environment that lead there.
    configure: fn(&Path, &str) -> Variables,
    /// What to say when it is not there.
    needs: &'static str,
}

type Variables = Vec<(&'static str, OsString)>;

const MODULES: [Module; 2] = [DEVTOKEN, SOFTHSM];

const DEVTOKEN: Module =
    Module { name: "devtoken", places: &[], configure: configure_devtoken, needs: "nothing" };

const SOFTHSM: Module = Module {
    name: "softhsm",
    places: &[
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib64/pkcs11/libsofthsm2.so",
    ],
    configure: configure_softhsm,
    needs: "SoftHSM2, which hsm/setup.sh installs",
};

/// Runs a test against a fresh token of each module. `name` is the test's own, with its path.
pub fn run(name: &str, test: impl FnOnce(&TestToken)) {
    run_without(name, "", test);
}

/// The same, with mechanisms taken away from the tokens: their names, separated by commas.
pub fn run_without(name: &str, mechanisms: &str, test: impl FnOnce(&TestToken)) {
    let child = env::var(CHILD).ok();
    for module in &MODULES {
        let process = format!("{name} over {}", module.name);
        match (module.library(), &child) {
            (Some(library), Some(child)) if *child == process => return test(&TestToken::new(library)),
            (_, Some(_)) => (),
            (Some(_), None) => in_a_process(module, name, &process, mechanisms),
            (None, None) => not_run(&process, module.needs),
        }
    }
}

impl Module {
    /// What it is called when a token of it is opened; none when it is not there.
    fn library(&self) -> Option<&'static Path> {
        match self.places {
            [] => Some(Path::new(self.name)),
            places => places.iter().map(Path::new).find(|path| path.exists()),
        }
    }
}

fn not_run(name: &str, needs: &str) {
    let all = env::var("SIGNALBOX_TESTS").is_ok_and(|which| which == "all");
    assert!(!all, "{name} needs {needs}");
    // Written past the harness, which shows what a passing test prints only on request.
    let _ = writeln!(std::io::stderr(), "{name}: NOT RUN, needs {needs}");
}

fn in_a_process(module: &Module, name: &str, process: &str, without: &str) {
    let folder = Folder::new(process);
    let variables = (module.configure)(&folder.0, without);
    let output = Command::new(env::current_exe().expect("this test"))
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .envs(variables)
        .env(CHILD, process)
        .output()
        .expect("a process");
    let said =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    // The count too: a name that is not the test's own would run nothing and succeed.
    assert!(output.status.success() && said.contains("1 passed"), "{process}: {}\n{said}", output.status);
}

fn configure_devtoken(folder: &Path, without: &str) -> Variables {
    fs::create_dir_all(folder).expect("a folder for the token");
    vec![("SIGNALBOX_DEVTOKEN", folder.into()), ("SIGNALBOX_DEVTOKEN_WITHOUT", without.into())]
}

fn configure_softhsm(folder: &Path, without: &str) -> Variables {
    let tokens = folder.join("tokens");
    fs::create_dir_all(&tokens).expect("a folder for tokens");
    let config = folder.join("softhsm2.conf");
    // SoftHSM2 2.6.1 overlooks the first name behind the minus: a name that nothing here needs.
    let mechanisms = if without.is_empty() { "ALL".to_owned() } else { format!("-CKM_MD5,{without}") };
    let text = format!(
        "directories.tokendir = {}\nslots.mechanisms = {mechanisms}\nlog.level = ERROR\n",
        tokens.display()
    );
    fs::write(&config, text).expect("a configuration");
    vec![("SOFTHSM2_CONF", config.into())]
}

/// A folder that is removed with what is in it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let name = name.replace([':', ' '], "-");
        Folder(env::temp_dir().join(format!("signalbox-hsm-{}-{name}", process::id())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A token with a user logged in who may make keys.
pub struct TestToken {
    /// The module's file.
    pub module: PathBuf,
    session: Session,
    context: Pkcs11,
}

impl TestToken {
    fn new(module: &Path) -> TestToken {
        let linked = module == Path::new(DEVTOKEN.name);
        let context = if linked { Pkcs11::new_from_self() } else { Pkcs11::new(module) }.expect("the module");
        context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).expect("a start");
        let slot = context.get_slots_with_token().expect("slots")[0];
        context.init_token(slot, &AuthPin::from(SO_PIN), LABEL).expect("a token");
        let session = context.open_rw_session(slot).expect("a session");
        session.login(UserType::So, Some(&AuthPin::from(SO_PIN))).expect("an officer");
        session.init_pin(&AuthPin::from(PIN)).expect("a PIN");
        session.logout().expect("a log-out");
        session.login(UserType::User, Some(&AuthPin::from(PIN))).expect("a user");
        TestToken { module: module.to_owned(), session, context }
    }

    /// The session of the user who may make keys.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Makes a key on the token and returns its check value.
    pub fn create(&self, template: &[Attribute]) -> [u8; 3] {
        let key = self.session.create_object(template).expect("a key");
        let found = self.session.get_attributes(key, &[AttributeType::CheckValue]).expect("attributes");
        let [Attribute::CheckValue(value)] = found.as_slice() else { panic!("no check value") };
        value.as_slice().try_into().expect("three bytes")
    }

    /// Shuts the module down, for all who use it in this process.
    pub fn shut_down(&self) {
        self.context.clone().finalize().expect("an end");
    }

    /// Takes the token's files away until what is returned is called.
    pub fn hide(&self) -> impl FnOnce() {
        let softhsm =
            || Path::new(&env::var_os("SOFTHSM2_CONF")?).parent().map(|folder| folder.join("tokens"));
        let folder = env::var_os("SIGNALBOX_DEVTOKEN").map(PathBuf::from).or_else(softhsm).expect("a folder");
        let away = folder.with_extension("away");
        fs::rename(&folder, &away).expect("the token's files");
        fs::create_dir(&folder).expect("an empty folder");
        move || {
            let _ = fs::remove_dir_all(&folder);
            fs::rename(&away, &folder).expect("the token's files");
        }
    }

    /// Logs everybody in this process out: private session objects are gone.
    pub fn log_out(&self) {
        self.session.logout().expect("a log-out");
    }
}

/// The attributes of a good key that encrypts blocks or has keys derived from it.
pub fn master(label: &str, value: &[u8], mechanism: u64) -> Vec<Attribute> {
    let encrypts = matches!(mechanism, DES3_ECB | AES_ECB);
    let key_type = if matches!(mechanism, AES_DERIVE | AES_ECB) { KeyType::AES } else { KeyType::DES2 };
    let may = if encrypts { Attribute::Encrypt(true) } else { Attribute::Derive(true) };
    key(label, value, key_type, may, mechanism)
}

/// The attributes of a good key that may do one thing, by one mechanism.
pub fn key(label: &str, value: &[u8], key_type: KeyType, may: Attribute, mechanism: u64) -> Vec<Attribute> {
    let template = vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(key_type),
        Attribute::Label(label.as_bytes().to_vec()),
        Attribute::Value(value.to_vec()),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Modifiable(false),
        Attribute::Encrypt(false),
        Attribute::Derive(false),
        Attribute::Decrypt(false),
        Attribute::Sign(false),
        Attribute::Verify(false),
        Attribute::Wrap(false),
        Attribute::Unwrap(false),
        allowed(&[mechanism]),
    ];
    but(template, may)
}

/// The same attributes with one of them replaced.
pub fn but(template: Vec<Attribute>, changed: Attribute) -> Vec<Attribute> {
    let kind = changed.attribute_type();
    template.into_iter().filter(|attribute| attribute.attribute_type() != kind).chain([changed]).collect()
}

/// The same attributes without the one that ties the key to mechanisms.
pub fn free(template: Vec<Attribute>) -> Vec<Attribute> {
    template
        .into_iter()
        .filter(|attribute| attribute.attribute_type() != AttributeType::AllowedMechanisms)
        .collect()
}

/// The attribute that ties a key to mechanisms.
pub fn allowed(mechanisms: &[u64]) -> Attribute {
    let bytes = mechanisms.iter().flat_map(|mechanism| mechanism.to_ne_bytes()).collect();
    Attribute::VendorDefined((AttributeType::AllowedMechanisms, bytes))
}
