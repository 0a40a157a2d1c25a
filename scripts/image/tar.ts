// A tar archive (POSIX ustar) that is the same to the byte for the same files, whatever their order, age and owner were.
export type Entry =
  | { path: string; mode: number; content: Buffer }
  /** A symbolic link. */
  | { path: string; target: string };

const BLOCK = 512;
/** Field widths of the ustar header (POSIX.1-1988, pax(1)): a longer name would have to be split or extended, and no file of ours needs that. */
const NAME_BYTES = 100;

/** Folders are added for every entry. Paths are relative, without `./`. */
export function tar(entries: readonly Entry[]): Buffer {
  const seen = new Set<string>();
  for (const { path } of entries) {
    if (path.startsWith('/') || path.split('/').includes('..')) throw new Error(`${path} is no path inside an archive`);
    if (seen.has(path)) throw new Error(`${path} is twice in the archive`);
    seen.add(path);
  }
  const folders = new Set(entries.flatMap(({ path }) => foldersOf(path)));
  const parts = [
    ...[...folders].map((path) => ({ path, blocks: [header({ path, mode: 0o755, type: '5', size: 0, target: '' })] })),
    ...entries.map((entry) => ({ path: entry.path, blocks: blocksOf(entry) })),
  ].sort((a, b) => (a.path < b.path ? -1 : 1));
  // Two empty blocks end an archive.
  return Buffer.concat([...parts.flatMap(({ blocks }) => blocks), Buffer.alloc(2 * BLOCK)]);
}

function blocksOf(entry: Entry): Buffer[] {
  if ('target' in entry) return [header({ path: entry.path, mode: 0o777, type: '2', size: 0, target: entry.target })];
  const { content } = entry;
  const padding = (BLOCK - (content.length % BLOCK)) % BLOCK;
  return [header({ path: entry.path, mode: entry.mode, type: '0', size: content.length, target: '' }), content, Buffer.alloc(padding)];
}

function header(file: { path: string; mode: number; type: '0' | '2' | '5'; size: number; target: string }): Buffer {
  const block = Buffer.alloc(BLOCK);
  const text = (value: string, at: number, width: number): void => {
    if (Buffer.byteLength(value) > width) throw new Error(`${value} is too long for a tar header (${width} bytes)`);
    block.write(value, at, 'utf8');
  };
  const octal = (value: number, at: number, width: number): void => text(`${value.toString(8).padStart(width - 1, '0')}\0`, at, width);
  text(file.type === '5' ? `${file.path}/` : file.path, 0, NAME_BYTES);
  octal(file.mode, 100, 8);
  octal(0, 108, 8); // uid, gid: root owns everything, whoever built it
  octal(0, 116, 8);
  octal(file.size, 124, 12);
  octal(0, 136, 12); // mtime
  block.fill(' ', 148, 156); // the checksum counts itself as spaces
  text(file.type, 156, 1);
  text(file.target, 157, NAME_BYTES);
  text('ustar\u000000', 257, 8);
  const sum = block.reduce((total, byte) => total + byte, 0);
  text(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 8);
  return block;
}

function foldersOf(path: string): string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.map((_, at) => parts.slice(0, at + 1).join('/'));
}
