//! Bodies of requests: the pieces they arrive in change nothing, none is longer than it may be, and chunks are what a
//! second, plainer reader makes of the same bytes.
#![no_main]

use codec::http::HttpError;
use codec::http::body::Decoder;
use codec::http::request::Body;
use socketshard_codec_fuzz::chop::Chop;

/// Small, so that a fuzzer reaches it.
const BODY_BYTES_MAX: usize = 300;

/// What became of a stream: the content and the bytes that it took, if it is whole.
type Outcome = Result<Option<(Vec<u8>, usize)>, HttpError>;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((mut chop, stream)) = Chop::split(input) else {
        return;
    };
    let body = match chop.below(3) {
        0 => Body::Length(1 + chop.below(400) as u64),
        _ => Body::Chunked,
    };
    let whole = decode(body, stream, |left| left);
    assert_eq!(decode(body, stream, |left| chop.piece(left)), whole, "in pieces");
    match (body, whole) {
        (Body::Length(bytes), Err(error)) => {
            assert!(error == HttpError::BodyTooLong && bytes > BODY_BYTES_MAX as u64);
        }
        (_, Err(error)) => assert!(matches!(error, HttpError::BodyTooLong | HttpError::Chunk)),
        (Body::Chunked, Ok(Some((content, used)))) => {
            assert!(content.len() <= BODY_BYTES_MAX);
            assert_eq!(read_chunks(&stream[..used]), Some(content));
        }
        (Body::Length(bytes), Ok(Some((content, used)))) => {
            assert!(content.len() as u64 == bytes && content == stream[..used]);
        }
        (_, Ok(_)) => {}
    }
});

fn decode(body: Body, stream: &[u8], mut piece: impl FnMut(usize) -> usize) -> Outcome {
    let mut decoder = Decoder::new(body, BODY_BYTES_MAX)?;
    let (mut content, mut at) = (Vec::new(), 0);
    while at < stream.len() && !decoder.is_done() {
        let end = at + piece(stream.len() - at);
        let used = decoder.decode(&stream[at..end], &mut content)?;
        assert!(decoder.is_done() || used == end - at, "bytes were left by a body that is not whole");
        at += used;
    }
    Ok(decoder.is_done().then_some((content, at)))
}

/// Reads chunks line by line, with nothing behind their end.
fn read_chunks(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let line = take_line(&mut bytes)?;
        let size = usize::from_str_radix(line.split(';').next()?, 16).ok()?;
        if size == 0 {
            break;
        }
        content.extend_from_slice(bytes.get(..size)?);
        bytes = bytes.get(size..)?.strip_prefix(b"\r\n")?;
    }
    while !take_line(&mut bytes)?.is_empty() {}
    bytes.is_empty().then_some(content)
}

fn take_line(bytes: &mut &[u8]) -> Option<String> {
    let end = bytes.windows(2).position(|window| window == b"\r\n")?;
    let line = String::from_utf8_lossy(&bytes[..end]).into_owned();
    *bytes = &bytes[end + 2..];
    Some(line)
}
