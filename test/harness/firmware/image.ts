// Firmware images for reference devices: what they check themselves when they were started stands in their first line.
export type ImageWish = {
  version: string;
  bytes?: number;
  /** Boards on which its self-test fails. */
  failsOn?: readonly string[];
};

type Head = { version: string; failsOn: readonly string[] };

export function makeImage({ version, bytes = 20_000, failsOn = [] }: ImageWish): Buffer {
  const head = Buffer.from(`${JSON.stringify({ version, failsOn } satisfies Head)}\n`);
  return Buffer.concat([head, Buffer.alloc(Math.max(0, bytes - head.length), version)]);
}

/** The image's own checks on this board: bit 0 is the camera. */
export function selfTestOn(board: string): (image: Buffer) => number {
  return (image) => {
    const { failsOn } = JSON.parse(image.toString('utf8', 0, image.indexOf('\n'))) as Head;
    return failsOn.includes(board) ? 1 : 0;
  };
}
