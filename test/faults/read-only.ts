import { Transform } from 'node:stream';

const harmless = /^(info|client|hello|auth|select|ping|command|quit|echo)$/i;
const refusal = `return redis.error_reply("READONLY You can't write against a read only replica.")`;
const refused = Buffer.from(`*3\r\n$4\r\nEVAL\r\n$${refusal.length}\r\n${refusal}\r\n$1\r\n0\r\n`);

/**
 * The words of one client on their way to a Redis that has become a replica, as long as `is()` says so: each command
 * that could write is answered with READONLY. The real server gives that answer, in its turn, so that the order of
 * answers stays right.
 */
export function toReplica(is: () => boolean): Transform {
  let unread = Buffer.alloc(0);
  return new Transform({
    transform(part: Buffer, _encoding, done) {
      unread = Buffer.concat([unread, part]);
      for (let command = nextCommand(unread); command; command = nextCommand(unread)) {
        this.push(is() && !harmless.test(command.name) ? refused : unread.subarray(0, command.length));
        unread = unread.subarray(command.length);
      }
      done();
    },
  });
}

/** RESP: `*<parts>\r\n`, and each part as `$<bytes>\r\n<bytes>\r\n`. */
function nextCommand(bytes: Buffer): { name: string; length: number } | null {
  const line = (at: number) => {
    const end = bytes.indexOf('\r\n', at);
    return end < 0 ? null : { value: Number(bytes.toString('latin1', at + 1, end)), after: end + 2 };
  };
  const head = line(0);
  if (!head) return null;
  let at = head.after;
  let name = '';
  for (let part = 0; part < head.value; part++) {
    const size = line(at);
    if (!size || bytes.length < size.after + size.value + 2) return null;
    name ||= bytes.toString('latin1', size.after, size.after + size.value);
    at = size.after + size.value + 2;
  }
  return { name, length: at };
}
