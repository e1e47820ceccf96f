//! Messages of SocketStream's clients and servers, of both generations. What is read is JSON, and what is written of it
//! is read again as it was.
#![no_main]

use codec::arguments::Arguments;
use codec::json::JsonLimits;
use codec::message::RawJson;
use codec::socketstream::encode::To;
use codec::socketstream::services::{self, Request};
use codec::socketstream::{Call, Message, client, encode};
use libfuzzer_sys::fuzz_target;
use socketshard_codec_fuzz::json::is_json;

const LIMITS: JsonLimits = JsonLimits { depth_max: 8 };

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Some(Message::Call(call)) = Message::decode(text, LIMITS) {
        check_call(&call);
        let id = call.id.map_or("", RawJson::as_str);
        let answer = written(|out| encode::answer(out, id, Ok(call.id)));
        let Some(client::ServerMessage::Answer { id: again, .. }) = client::ServerMessage::decode(&answer, LIMITS)
        else {
            panic!("{answer}")
        };
        assert_eq!(again, call.id);
    }
    if let Some(Request::Call { callback, call }) = Request::decode(text, LIMITS) {
        assert!(callback.bytes().all(|byte| byte.is_ascii_digit()));
        check_call(&call);
    }
    if let Some(client::ServerMessage::Event { name, arguments, .. }) = client::ServerMessage::decode(text, LIMITS) {
        let list = written_list(arguments);
        let event = written(|out| encode::event(out, To::Channel(&name), &name, Some(RawJson::from_validated(&list))));
        assert!(client::ServerMessage::decode(&event, JsonLimits { depth_max: 16 }).is_some(), "{event}");
    }
    if let Some(services::client::ServerMessage::Event { name, arguments }) =
        services::client::ServerMessage::decode(text, LIMITS)
    {
        let list = written_list(arguments);
        let event = written(|out| services::encode::event(out, &name, Some(RawJson::from_validated(&list))));
        assert!(services::client::ServerMessage::decode(&event, JsonLimits { depth_max: 16 }).is_some(), "{event}");
    }
});

fn check_call(call: &Call<'_>) {
    assert!(call.id.is_none_or(|id| is_json(id.as_str())));
    let Some(arguments) = call.arguments else { return };
    let list = written_list(arguments);
    assert!(is_json(&list), "{list}");
    assert_eq!(arguments.iter(LIMITS).count(), arguments.count);
    let Some(method) = &call.method else { return };
    let again = written(|out| client::call(out, method, Some(7), RawJson::from_validated(&list)));
    let Some(Message::Call(again)) = Message::decode(&again, LIMITS) else { panic!("{again}") };
    assert_eq!((again.method.as_ref(), again.arguments), (Some(method), Some(arguments)));
}

fn written_list(arguments: Arguments<'_>) -> String {
    format!("[{}]", arguments.text)
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).expect("messages are text")
}
