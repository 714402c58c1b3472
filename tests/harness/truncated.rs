//! A body that breaks off after so many bytes.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use hyper::body::{Body, Bytes, Frame, Incoming};

use super::http_thread::BoxError;

pub(super) struct Truncated {
    body: Incoming,
    left: usize,
    flushed: bool,
}

impl Truncated {
    pub(super) fn new(body: Incoming, bytes: usize) -> Self {
        Self { body, left: bytes, flushed: false }
    }
}

impl Body for Truncated {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.left == 0 {
            if !self.flushed {
                // The server writes out what it has when a body has nothing to give for now.
                self.flushed = true;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            return Poll::Ready(Some(Err("truncated".into())));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(frame.map(|frame| match frame?.into_data() {
            Ok(mut data) => {
                data.truncate(self.left);
                self.left -= data.len();
                Ok(Frame::data(data))
            }
            Err(trailers) => Ok(trailers),
        }))
    }
}
