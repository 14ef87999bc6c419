//! Who may see the console: whoever shows the access token, once as a form for a browser, each time as a bearer for a
//! program. A browser gets a cookie that no script can read and that no other site can make it send.

use axum::Form;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use tokio::time::{Duration, Instant, sleep};

use super::Door;
use crate::api::AccessToken;
use crate::registry::Registry;

/// Browsers that are signed in at a time; the one that has been idle for longest gives way.
const SESSIONS_MAX: usize = 64;
/// How long a browser stays signed in.
const LIFE: Duration = Duration::from_secs(12 * 3_600);
/// A wrong token is answered slowly.
const WRONG_WAIT: Duration = Duration::from_millis(500);
const COOKIE: &str = "signalbox_console";

/// The browsers that are signed in.
#[derive(Default)]
pub(super) struct Sessions {
    /// By what the cookie holds.
    signed_in: Registry<String, SignedIn>,
}

struct SignedIn {
    since: Instant,
    /// What was shown. Whoever signed in with a token that was replaced signs in again.
    with: AccessToken,
}

impl Sessions {
    /// Without a token everybody may look.
    fn admits(&self, headers: &HeaderMap, token: Option<&AccessToken>) -> bool {
        let Some(token) = token else { return true };
        let signed_in = |cookie: &str| {
            let signed_in = self.signed_in.get(cookie);
            signed_in.is_some_and(|signed_in| signed_in.since.elapsed() < LIFE && signed_in.with == *token)
        };
        token.is_shown(headers) || cookies(headers).any(signed_in)
    }

    fn sign_in(&self, with: AccessToken) -> Option<String> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).ok()?;
        let cookie = format!("{:032x}", u128::from_le_bytes(random));
        self.signed_in.retain(|_, signed_in| signed_in.since.elapsed() < LIFE);
        if self.signed_in.len() >= SESSIONS_MAX {
            let oldest =
                self.signed_in.iter().min_by_key(|entry| entry.since).map(|entry| entry.key().clone());
            oldest.and_then(|oldest| self.signed_in.remove(&oldest));
        }
        self.signed_in.insert(cookie.clone(), SignedIn { since: Instant::now(), with });
        Some(cookie)
    }
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split("; "))
        .filter_map(|cookie| cookie.strip_prefix(COOKIE)?.strip_prefix('='))
}

/// Lets those in who are signed in; a browser is shown the form, a program is told.
pub(super) async fn insist(State(door): State<Door>, request: Request, next: Next) -> Response {
    if door.sessions.admits(request.headers(), door.setup.rules().console_access.as_ref()) {
        return next.run(request).await;
    }
    match request.uri().path() {
        "/" => Redirect::to("/login").into_response(),
        _ => (StatusCode::UNAUTHORIZED, "sign in first\n").into_response(),
    }
}

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct Shown {
    token: String,
}

/// Signs a browser in.
pub(super) async fn login(State(door): State<Door>, Form(shown): Form<Shown>) -> Response {
    let rules = door.setup.rules();
    let Some(token) = &rules.console_access else { return Redirect::to("/").into_response() };
    let is_right = token.is(shown.token.trim().as_bytes());
    match is_right.then(|| door.sessions.sign_in(token.clone())).flatten() {
        Some(cookie) => {
            let cookie =
                format!("{COOKIE}={cookie}; HttpOnly; SameSite=Strict; Path=/; Max-Age={}", LIFE.as_secs());
            ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
        }
        None => {
            sleep(WRONG_WAIT).await;
            tracing::warn!("a wrong access token at the console");
            Redirect::to("/login#wrong").into_response()
        }
    }
}
