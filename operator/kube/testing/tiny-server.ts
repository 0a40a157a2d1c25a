// A list and watch server in memory for schedules that a real server cannot be made to play: revisions, a compacted window, pages, WatchList, bookmarks.
// Follows https://kubernetes.io/docs/reference/using-api/api-concepts/ ("Efficient detection of changes", "Streaming lists"). Everything else is tested on the real server.
import type { KubeClient, ListPage, WatchQuery } from '../client.ts';
import { KubeError } from '../errors.ts';
import { type KubeObject, keyOf } from '../object.ts';

export type Thing = KubeObject & { value: number };

type LogEntry = { revision: number; type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: Thing };

/** One open watch as a test sees it. */
export type OpenWatch = {
  query: WatchQuery;
  sent: number;
  end(): void;
  cutMidEvent(): void;
  sendRaw(text: string): void;
  bookmark(): void;
};

export class TinyServer {
  readonly objects = new Map<string, Thing>();
  readonly watches = new Set<OpenWatch & { push(entry: LogEntry): void }>();
  /** The next requests fail with these. */
  failures: unknown[] = [];
  lists = 0;
  watchCalls = 0;
  supportsWatchList = true;
  pageSize = 3;
  /** Changed between two pages of one list. */
  betweenPages: (() => void) | undefined;
  #revision = 100;
  #uid = 0;
  #compacted = 100;
  #log: LogEntry[] = [];
  #snapshots = new Map<string, { revision: number; items: Thing[] }>();

  put(name: string, value: number): void {
    const before = this.objects.get(`ns/${name}`);
    const uid = before?.metadata.uid ?? `uid-${++this.#uid}`;
    const object: Thing = { metadata: { namespace: 'ns', name, uid, resourceVersion: String(++this.#revision) }, value };
    this.#record(before === undefined ? 'ADDED' : 'MODIFIED', object);
  }

  remove(name: string): void {
    const before = this.objects.get(`ns/${name}`);
    if (before === undefined) return;
    this.#record('DELETED', { ...before, metadata: { ...before.metadata, resourceVersion: String(++this.#revision) } });
  }

  /** Forgets all history: whoever resumes from an older revision gets a 410, and so do continue tokens. */
  compact(): void {
    this.#compacted = this.#revision;
    this.#log = [];
    this.#snapshots.clear();
  }

  endWatches(how: (watch: OpenWatch) => void): void {
    for (const watch of [...this.watches]) how(watch);
  }

  get state(): Record<string, string> {
    return Object.fromEntries(
      [...this.objects].map(([key, object]) => [key, `${object.metadata.uid}@${object.metadata.resourceVersion}=${object.value}`]),
    );
  }

  client(): Pick<KubeClient, 'listPage' | 'watch'> {
    return {
      listPage: async (_type, query) => this.#page(query.continueToken) as unknown as ListPage<never>,
      watch: async (_type, query, signal) => this.#watch(query, signal),
    };
  }

  #record(type: LogEntry['type'], object: Thing): void {
    if (type === 'DELETED') this.objects.delete(keyOf(object));
    else this.objects.set(keyOf(object), object);
    const entry = { revision: this.#revision, type, object };
    this.#log.push(entry);
    for (const watch of this.watches) watch.push(entry);
  }

  #fail(): void {
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
  }

  #page(token: string | undefined): ListPage<Thing> {
    if (token === undefined) this.lists++;
    this.#fail();
    if (token !== undefined) this.betweenPages?.();
    const snapshot = token === undefined ? { revision: this.#revision, items: [...this.objects.values()] } : this.#snapshots.get(token);
    if (snapshot === undefined) throw gone();
    const items = snapshot.items.slice(0, this.pageSize);
    const rest = snapshot.items.slice(this.pageSize);
    if (rest.length === 0) return { items, resourceVersion: String(snapshot.revision) };
    const next = `${snapshot.revision}/${rest.length}`;
    this.#snapshots.set(next, { revision: snapshot.revision, items: rest });
    return { items, resourceVersion: String(snapshot.revision), continueToken: next };
  }

  #watch(query: WatchQuery, signal: AbortSignal | undefined): AsyncIterable<Buffer> {
    this.watchCalls++;
    this.#fail();
    if (query.sendInitialEvents === true && !this.supportsWatchList)
      throw new KubeError({ status: 422, reason: 'Invalid', message: 'sendInitialEvents is forbidden' });
    const from = Number(query.resourceVersion ?? this.#revision);
    if (from < this.#compacted) throw gone();
    const stream = new ByteStream(signal);
    const watch = {
      query,
      sent: 0,
      push: (entry: LogEntry) => {
        watch.sent++;
        stream.push(line(entry.type, entry.object));
      },
      bookmark: () => stream.push(line('BOOKMARK', { metadata: { resourceVersion: String(this.#revision) } })),
      sendRaw: (text: string) => stream.push(text),
      end: () => {
        this.watches.delete(watch);
        stream.end();
      },
      cutMidEvent: () => {
        stream.push('{"type":"MODIFIED","object":{"metada');
        watch.end();
      },
    };
    this.watches.add(watch);
    if (query.sendInitialEvents === true) {
      for (const object of this.objects.values()) stream.push(line('ADDED', object));
      stream.push(
        line('BOOKMARK', { metadata: { resourceVersion: String(this.#revision), annotations: { 'k8s.io/initial-events-end': 'true' } } }),
      );
    } else for (const entry of this.#log) if (entry.revision > from) watch.push(entry);
    signal?.addEventListener('abort', () => this.watches.delete(watch), { once: true });
    return stream;
  }
}

export const gone = (): KubeError => new KubeError({ status: 410, reason: 'Expired', message: 'too old resource version' });
const line = (type: string, object: object): string => `${JSON.stringify({ type, object })}\n`;

class ByteStream implements AsyncIterable<Buffer> {
  #chunks: Buffer[] = [];
  #ended = false;
  #wake: () => void = () => undefined;
  #signal: AbortSignal | undefined;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
    signal?.addEventListener('abort', () => this.#wake(), { once: true });
  }

  push(text: string): void {
    if (!this.#ended) this.#chunks.push(Buffer.from(text));
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    for (;;) {
      if (this.#signal?.aborted) throw this.#signal.reason;
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) yield chunk;
      else if (this.#ended) return;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}
