//! Reading back without waiting: ask now, look again in the next frame.

use crate::error::{Error, Result};

use super::device::{Buffer, Gpu};
use super::promise::{Promise, promise};

/// An answer that is on its way from the device.
pub struct Reading {
    staging: wgpu::Buffer,
    answer: Promise<std::result::Result<(), wgpu::BufferAsyncError>>,
}

impl Gpu {
    /// Starts to read parts of buffers back, as they are after what was submitted so far: `(buffer, first byte, bytes)` each, all
    /// multiples of 4. The answer holds them one after the other.
    #[must_use]
    pub fn start_read(&self, parts: &[(&Buffer, u64, u64)]) -> Reading {
        let total = parts.iter().map(|part| part.2).sum();
        let staging = self.staging(total);
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut at = 0;
        for &(buffer, first, bytes) in parts {
            encoder.copy_buffer_to_buffer(&buffer.raw, first, &staging, at, bytes);
            at += bytes;
        }
        self.queue.submit([encoder.finish()]);
        let (sender, answer) = promise();
        staging.slice(..).map_async(wgpu::MapMode::Read, move |result| sender.send(result));
        Reading { staging, answer }
    }

    /// Reads the first `bytes` of `buffer` back.
    ///
    /// # Errors
    /// [`Error::Device`] if the device reported trouble or cannot map the copy.
    pub async fn read(&self, buffer: &Buffer, bytes: u64) -> Result<Vec<u8>> {
        let Reading { staging, answer } = self.start_read(&[(buffer, 0, bytes.next_multiple_of(4))]);
        let mut out = content(&staging, self.settled(answer).await?)?;
        out.truncate(bytes as usize);
        Ok(out)
    }

    fn staging(&self, size: u64) -> wgpu::Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("read-back"),
            size,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    }
}

impl Reading {
    /// The bytes, once they are there; never waits. After an answer there is none to come.
    ///
    /// # Errors
    /// [`Error::Device`] if the device reported trouble or cannot map the copy.
    pub fn take(&self, gpu: &Gpu) -> Option<Result<Vec<u8>>> {
        gpu.poll();
        // What else the device reported belongs to whoever waits for the work that it was about.
        if gpu.is_lost() {
            return Some(Err(gpu
                .check()
                .err()
                .unwrap_or_else(|| Error::device("the device is lost", "open the window again"))));
        }
        Some(content(&self.staging, self.answer.take()?))
    }
}

fn content(
    staging: &wgpu::Buffer,
    answer: std::result::Result<(), wgpu::BufferAsyncError>,
) -> Result<Vec<u8>> {
    let failed = |e: String| Error::device(format!("reading back failed: {e}"), "try another --adapter");
    answer.map_err(|e| failed(e.to_string()))?;
    let data = staging.slice(..).get_mapped_range().map_err(|e| failed(e.to_string()))?;
    Ok(data.to_vec())
}

#[cfg(test)]
mod tests {
    use crate::testing;

    #[test]
    fn a_reading_is_answered_later() {
        let gpu = testing::gpu();
        let buffer = gpu.buffer("some", 16).expect("16 bytes");
        gpu.write(&buffer, &std::array::from_fn::<u8, 16, _>(|i| i as u8));
        let reading = gpu.start_read(&[(&buffer, 8, 4), (&buffer, 0, 4)]);
        gpu.wait().expect("a device");
        assert_eq!(reading.take(&gpu).expect("it is there").expect("no trouble"), [8, 9, 10, 11, 0, 1, 2, 3]);
        assert!(reading.take(&gpu).is_none(), "once");
    }
}
