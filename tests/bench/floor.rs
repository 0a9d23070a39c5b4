//! The floor: the same pages asked for over one kept-alive connection, by a client that finds the next token and
//! nothing else. No run can be faster than this, since each page has the token of the next.

use std::io::{Read, Write};
use std::net::TcpStream;

/// As long as what an SDK sends: it signs each request.
const HEADERS: &str = "content-type: application/x-amz-json-1.1\r\n\
    x-amz-target: AWSHawksNestServiceFacade.GetBatchPredictionJobs\r\n\
    user-agent: aws-sdk-rust/1.3.15 ua/2.1 api/frauddetector#1.0 os/linux lang/rust#1.95.0 m/E,b\r\n\
    x-amz-date: 20261124T000000Z\r\nx-amz-security-token: test\r\n\
    amz-sdk-invocation-id: 00000000-0000-4000-8000-000000000000\r\namz-sdk-request: attempt=1; max=3\r\n\
    authorization: AWS4-HMAC-SHA256 Credential=test/20261124/us-east-1/frauddetector/aws4_request, \
    SignedHeaders=content-length;content-type;host;x-amz-date;x-amz-security-token;x-amz-target;x-amz-user-agent, \
    Signature=0000000000000000000000000000000000000000000000000000000000000000\r\n";
const TOKEN: &[u8] = b"\"nextToken\":\"";

/// Lists once for each line on standard input, and says on standard output how many pages there were.
pub(crate) fn serve(address: &str) -> std::io::Result<()> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_nodelay(true)?;
    let mut answer = vec![0; 1 << 17];
    for line in std::io::stdin().lines() {
        line?;
        let mut pages = 0;
        let mut asked = r#"{"maxResults":50}"#.to_owned();
        loop {
            let length = asked.len();
            let request = format!(
                "POST / HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\n{HEADERS}\r\n{asked}"
            );
            connection.write_all(request.as_bytes())?;
            let body = read(&mut connection, &mut answer)?;
            pages += 1;
            // The token comes last.
            let tail = &body[body.len().saturating_sub(200)..];
            let Some(at) = tail.windows(TOKEN.len()).position(|part| part == TOKEN) else {
                break;
            };
            let token = &tail[at + TOKEN.len()..];
            let token = token.split(|byte| *byte == b'"').next().unwrap();
            let token = std::str::from_utf8(token).unwrap();
            asked = format!(r#"{{"maxResults":50,"nextToken":"{token}"}}"#);
        }
        println!("{pages}");
    }
    Ok(())
}

/// The body of one answer.
fn read<'a>(connection: &mut TcpStream, buffer: &'a mut Vec<u8>) -> std::io::Result<&'a [u8]> {
    let mut filled = 0;
    let mut whole = None;
    loop {
        if let Some((start, end)) = whole.filter(|(_, end)| *end <= filled) {
            return Ok(&buffer[start..end]);
        }
        if filled == buffer.len() {
            buffer.resize(2 * filled, 0);
        }
        let count = connection.read(&mut buffer[filled..])?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        filled += count;
        if whole.is_none() {
            let head_end = buffer[..filled]
                .windows(4)
                .position(|four| four == b"\r\n\r\n");
            whole = head_end.map(|end| {
                let head = std::str::from_utf8(&buffer[..end])
                    .unwrap()
                    .to_ascii_lowercase();
                let length = head.split("content-length: ").nth(1).unwrap();
                let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
                (end + 4, end + 4 + length)
            });
        }
    }
}
