//! The token of a raw connection: its request shows it in `Authorization`, as requests to the API do, and it is judged
//! before the connect hook is asked. There is no protocol to say in what is wrong with it: what does not count is refused
//! by the status of the response, and fewer strangers than elsewhere get in.

use codec::http::request::Head;
use codec::socketcluster::{Dialect, TokenError};

use crate::authentication::{Examined, Identity, expired};
use crate::pending::{Upgrade, Work};
use crate::requests::Next;
use crate::shard::Shard;
use crate::{ConnectionId, Host, Refusal, Time};

impl Shard {
    /// Judges the token of an upgrade, and goes on with it.
    pub(crate) fn upgrade_raw<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        mut upgrade: Upgrade,
        host: &mut H,
    ) -> Next {
        let Some(token) = upgrade.token.take() else { return self.ask_raw(now, id, upgrade, host) };
        let refusal = match self.examine(now, id, &token, host) {
            Examined::Good => return self.ask_raw(now, id, upgrade, host),
            Examined::Gone => return Next::Nothing,
            Examined::Asked(ticket, identity) => {
                self.await_verdict(now, ticket, id, None, Work::Bearer(Box::new((upgrade, identity))));
                self.drain_commands(now, host);
                return Next::Nothing;
            }
            Examined::Bad(error) => bad(error),
            Examined::Refused(refusal) => refusal,
        };
        self.refuse_upgrade(now, id, &refusal, host);
        Next::Nothing
    }

    /// The authenticate hook has decided; whether the connection waits for nothing more.
    pub(crate) fn finish_bearer<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        work: (Upgrade, Box<Identity>),
        verdict: Result<(), Refusal>,
        host: &mut H,
    ) -> bool {
        let (upgrade, identity) = work;
        let verdict =
            verdict.and_then(|()| if identity.is_over(now) { Err(unauthenticated(expired())) } else { Ok(()) });
        match verdict {
            Ok(()) => {
                self.authenticated(id, identity);
                self.ask_raw(now, id, upgrade, host);
                self.connections.live(id).is_none_or(|connection| connection.calls == 0)
            }
            Err(refusal) => {
                self.token_refused(id);
                self.refuse_upgrade(now, id, &refusal, host);
                true
            }
        }
    }
}

/// The token that a request shows. Two of them could be read differently by two readers: that is none that is good.
pub(crate) fn token_of<'a>(head: &Head<'a>) -> Option<&'a str> {
    let mut tokens = head.headers.all("authorization").filter_map(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    let token = tokens.next()?;
    Some(if tokens.next().is_some() { "" } else { token })
}

fn bad(error: TokenError) -> Refusal {
    let mut json = Vec::new();
    error.write(Dialect::V2, &mut json);
    let error = String::from_utf8(json).expect("error objects are text").into();
    unauthenticated(Refusal { error, code: 4008, status: 401 })
}

fn unauthenticated(refusal: Refusal) -> Refusal {
    Refusal { status: 401, ..refusal }
}

#[cfg(test)]
mod tests {
    use codec::http::{HeaderStorage, request};

    use super::*;

    fn token(headers: &str) -> Option<String> {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        let mut storage = HeaderStorage::new();
        let (head, _) = request::parse(text.as_bytes(), &mut storage, 4_096).expect("good").expect("whole");
        token_of(&head).map(str::to_owned)
    }

    #[test]
    fn a_token_is_what_follows_bearer_and_other_schemes_are_not_ours() {
        assert_eq!(token("Authorization: Bearer a.b.c\r\n").as_deref(), Some("a.b.c"));
        assert_eq!(token("authorization: BEARER  a.b.c \r\n").as_deref(), Some("a.b.c"));
        assert_eq!(token("Authorization: Bearer \r\n"), None, "the blank at the end is no part of the value");
        assert_eq!(token("Authorization: Basic YTpi\r\n"), None);
        assert_eq!(token("Authorization: a.b.c\r\n"), None);
        assert_eq!(token(""), None);
        let two = "Authorization: Bearer a.b.c\r\nAuthorization: Bearer d.e.f\r\n";
        assert_eq!(token(two).as_deref(), Some(""), "nobody's");
    }
}
