//! What cards of programs need, over `/v1`: the description against the paths that are served, and the command that
//! goes through files.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use tests::{Rig, Setup, TestToken, TokenKind, purchase};

const PAN: &str = "9999100000000010";
const PROXY: &str = r#"{"pan":"9999150000000015","funding":{"pan":"9999600000000019","expiry":"3011"}}"#;

/// A switch with a program of each kind, over the development token.
fn start() -> Option<(Rig, TestToken)> {
    let token = TestToken::of(TokenKind::Devtoken)?;
    let counters = token.import("counters", "rotating-atc", "000102030405060708090A0B0C0D0E0F");
    let responses = token.import("responses", "challenge", "101112131415161718191A1B1C1D1E1F");
    let program = |name: &str, kind: &str, iin: &str, key: &str, check_value: &str| {
        format!(
            "name = \"{name}\"\nkind = \"{kind}\"\niins = [\"{iin}\"]\nkey = \"{key}\"\ncheck_value = \"{check_value}\""
        )
    };
    let setup = Setup::new()
        .token(&token)
        .table("program", &program("wallet", "rotating_atc", "999910", "counters", &counters))
        .table("program", &program("asked", "challenge", "999915", "responses", &responses));
    Some((setup.start()?, token))
}

fn description(rig: &Rig) -> Value {
    let (status, text) = rig.get("/v1/openapi.json");
    assert_eq!(status, 200);
    serde_json::from_str(&text).expect("JSON")
}

/// Path and form of everything that is described.
fn forms(description: &Value) -> Vec<(String, Value)> {
    let paths = description["paths"].as_object().expect("paths");
    let with_body = paths.iter().filter(|(_, of)| of["post"].get("requestBody").is_some());
    let form = |of: &Value| of["post"]["requestBody"]["content"]["application/json"]["schema"].clone();
    with_body.map(|(path, of)| (path.clone(), form(of))).collect()
}

fn refused_field(told: &str) -> String {
    let told: Value = serde_json::from_str(told).expect("JSON");
    told["error"]["field"].as_str().expect("a field").to_owned()
}

#[test]
fn the_description_says_what_is_served() {
    let Some((rig, _token)) = start() else { return };
    let description = description(&rig);
    assert_eq!(description["openapi"], "3.1.0");
    assert_eq!(rig.post("/v1/nothing", "{}").0, 404);
    assert_eq!((forms(&description).len(), rig.post("/v1/reload", "").0), (10, 200));
    for (path, form) in forms(&description) {
        // Every field that is described is read, and one that is not is refused.
        for name in form["properties"].as_object().expect("fields").keys() {
            let (status, told) = rig.post(&path, &json!({ name: true }).to_string());
            assert_eq!((status, refused_field(&told).as_str()), (400, name.as_str()), "{path}: {told}");
        }
        let (status, told) = rig.post(&path, r#"{"colour":true}"#);
        assert_eq!((status, refused_field(&told).as_str()), (400, ""), "{path}: {told}");
        // Every field that is required is, and no other.
        let required = form["required"].as_array().expect("names");
        for name in form["properties"].as_object().expect("fields").keys() {
            let mut body = form["example"].clone();
            body.as_object_mut().expect("an object").remove(name);
            let (status, told) = rig.post(&path, &body.to_string());
            let is_missing = status == 400 && refused_field(&told) == *name && told.contains("is missing");
            assert_eq!(is_missing, required.contains(&json!(name)), "{path} without {name}: {status} {told}");
        }
    }
}

#[test]
fn the_examples_work_in_their_order() {
    let Some((rig, _token)) = start() else { return };
    let description = description(&rig);
    let example = |path: &str| description["paths"][path]["post"].clone();
    let post = |path: &str| {
        let described = example(path);
        let body = &described["requestBody"]["content"]["application/json"]["schema"]["example"];
        let (status, told) = rig.post(path, &body.to_string());
        assert!(
            described["responses"].get(status.to_string()).is_some(),
            "{path}: {status} is not described"
        );
        (status, serde_json::from_str::<Value>(&told).expect("JSON"))
    };
    for path in ["/v1/cards/look", "/v1/cards", "/v1/bundles", "/v1/bundles/confirm", "/v1/cards/block"] {
        let expected = match path {
            "/v1/cards/look" => 404,
            "/v1/cards" => 201,
            _ => 200,
        };
        assert_eq!(post(path).0, expected, "{path}");
    }
    assert_eq!(post("/v1/cards").0, 409);
    let standing = post("/v1/cards/look").1;
    let schema = &description["components"]["schemas"]["Standing"];
    let names =
        |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&standing), names(&schema["properties"]));
    assert_eq!(
        names(&standing["bundles"][0]),
        names(&schema["properties"]["bundles"]["items"]["properties"])
    );
    rig.change("/v1/cards", PROXY);
    let told = rig.change("/v1/challenges", r#"{"pan":"9999150000000015","ttl_ms":60000}"#);
    let told: Value = serde_json::from_str(&told).expect("JSON");
    let items = &schema["properties"]["challenges"]["items"]["properties"];
    assert_eq!(names(&told["challenges"][0]), names(items));
}

/// Cards from a file, a code that is good after it, and how they stand in a file again.
#[test]
fn cards_go_through_files_of_lines() {
    let Some((rig, _token)) = start() else { return };
    let admin = rig.admin().to_string();
    // In a folder of its own: what is in the rig's is searched for card numbers.
    let folder = std::env::temp_dir().join(format!("signalbox-cards-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let cards = |action: &str, lines: &str| {
        let file = write("lines.jsonl", lines);
        rig.run_whole(&["cards", action, &file, "--admin", &admin, "--token-file", "access.token"])
    };
    let enrol = format!(
        "{{\"pan\":\"{PAN}\",\"psn\":1,\"funding\":{{\"pan\":\"9999600000000019\",\"expiry\":\"3011\"}}}}\n\n\
         {{\"pan\":\"9999100000000011\"}}\n{{\"pan\":\"9999100000000028\",\"funding\":{{\"pan\":\"9999600000000019\",\"expiry\":\"3011\"}}}}\n\
         {{\"pan\":7}}\n"
    );
    let (code, told, refused) = cards("enrol", &enrol);
    assert_eq!(code, 65, "{refused}");
    assert_eq!(told.lines().count(), 2, "{told}");
    assert_eq!(
        refused, "line 3: 422 pan: the check digit is wrong\nline 5: 400 pan: expected a string\n",
        "a line, a field, a reason, and no number"
    );
    let issue = format!("{{\"pan\":\"{PAN}\",\"id\":1,\"first\":40,\"count\":10,\"ttl_ms\":60000}}");
    assert_eq!(cards("issue", &issue).0, 0);
    assert_eq!(cards("confirm", &format!("{{\"pan\":\"{PAN}\",\"id\":1}}")).0, 0);
    let tap = format!("2={PAN} 11=000001 14=2912 22=910 35={PAN}=29122017004273147853");
    rig.acquirer("north").ask(&purchase(&tap), "0110 39=00");
    let (code, told, _) =
        cards("look", &format!("{{\"pan\":\"{PAN}\"}}\n{{\"pan\":\"9999100000000028\"}}\n"));
    let stand: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((code, stand.len(), stand[0]["bundles"][0]["used"].as_u64()), (0, 2, Some(1)), "{told}");
    assert!(!told.contains(PAN), "masked");
    // Whoever else could read the access token could do all this.
    let open = write("open.token", "an-access-token-of-the-tests");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).expect("our own file");
    let (code, _, why) = rig.run_whole(&["cards", "look", "--admin", &admin, "--token-file", &open]);
    assert!(code == 78 && why.contains("mode 644"), "{code} {why}");
    let nobody = tests::rig::places::refusing_address().to_string();
    let file = write("lines.jsonl", &issue);
    let arguments = ["cards", "look", &file, "--admin", &nobody, "--token-file", "access.token"];
    assert_eq!(rig.run_whole(&arguments).0, 69);
    let _ = fs::remove_dir_all(&folder);
}
