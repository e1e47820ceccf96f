//! What an application has of a session, on a shard under a real executor: values and their ends, when it was made, and that
//! the server's own values are not among them.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use super::replacing::Member;
use crate::app::{App, Common, Error, Result, Session, ShardHost};
use crate::config::Settings;
use crate::server::entrance::Entrance;
use crate::server::executor::Executors;
use crate::server::placement::Placement;
use crate::session::SessionService;
use crate::time::sleep;

/// What is wrong, as an error that the caller sees.
fn expect(is_so: bool, what: &'static str) -> Result {
    if is_so { Ok(()) } else { Err(Error::new("WrongError", what)) }
}

fn keys(session: &Session) -> Vec<String> {
    session.get_all().into_iter().map(|(key, _)| key.to_string()).collect()
}

async fn values(session: Session) -> Result<&'static str> {
    let since = SystemTime::now().duration_since(session.created_at()).unwrap_or_default();
    expect(since < Duration::from_secs(60), "it was made a moment ago")?;
    session.set("name", "ann")?.await?;
    session.set("basket", &vec![1, 2])?;
    expect(session.get::<Vec<u8>>("basket")? == Some(vec![1, 2]), "a write is read at once")?;
    expect(session.get::<u8>("name").is_err(), "a value of another kind is an error")?;
    expect(session.get_raw("name").as_deref() == Some("\"ann\""), "a value is JSON")?;
    expect(session.increment("sum", 4).await? == 4 && session.increment("sum", -1).await? == 3, "sums")?;
    expect(session.increment("name", 1).await.is_err(), "a name is no number")?;
    expect(keys(&session) == ["name", "basket", "sum"], "all there are, in their order")?;
    session.remove("basket")?.await?;
    expect(session.get_raw("basket").is_none(), "removed")?;
    session.channel().subscribe("private").await?;
    session.clear()?.await?;
    expect(keys(&session).is_empty() && session.channel().list() == ["private"], "all but the server's own")?;
    expect(session.set("#user", "mallory").is_err() && session.remove("#channel:private").is_err(), "its own")?;
    Ok("values hold.")
}

async fn ends(session: Session) -> Result<&'static str> {
    session.set_for("brief", "soon gone", Duration::from_millis(20))?;
    session.set_for("kept", "for long", Duration::from_secs(3_600))?;
    session.set("late", &1)?;
    session.expire("late", Duration::from_millis(20))?.await?;
    sleep(Duration::from_millis(50)).await;
    expect(session.get_raw("brief").is_none() && session.get_raw("late").is_none(), "their time is over")?;
    expect(keys(&session) == ["kept"], "its time is not")?;
    session.set_lifetime(Duration::from_secs(3_600))?.await?;
    expect(!session.is_ended(), "it lives")?;
    let id = session.id();
    session.rotate().await?;
    expect(session.id() != id, "another name")?;
    expect(keys(&session) == ["kept"], "and the same values")?;
    Ok("ends hold.")
}

#[test]
fn an_application_has_values_that_end_and_a_session_that_keeps_its_own() {
    let listen = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))];
    let settings = Settings { listen, ..Settings::default() };
    let entrance = Entrance::open(&settings, 2, Vec::new()).expect("a free port");
    let address = entrance.listeners.addresses[0];
    let placement = Placement { cpus: vec![0; 2], pinned: false };
    let mut common = Common::new(&settings).expect("a random key");
    common.sessions = Some(SessionService::start(&settings.sessions, None, || {}).expect("random keys"));
    let app = || App::new().action("values", values).action("ends", ends);
    let application = move |shard| ShardHost::new(app(), shard, common.clone());
    let executors = Executors::start(&settings, &placement, entrance, application, || {}).expect("they start");
    let mut member = Member::connect(address);
    for action in ["values", "ends"] {
        member.say(&format!(r#"{{"event":"{action}","cid":"{action}"}}"#));
        member.await_words(&format!(r#""rid":"{action}""#));
        assert!(member.heard().contains(&format!("{action} hold.")), "{action}: {}", member.heard());
    }
    drop(member);
    executors.control.stop();
    executors.join().expect("all ends well");
}
