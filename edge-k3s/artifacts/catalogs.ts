// All catalogs together: what is named by digest, and by whom. The newest first, as they came.
import type { Catalog, CatalogArtifact } from './catalog.ts';

export interface Catalogs {
  put(id: string, catalog: Catalog): void;
  remove(id: string): void;
  /** Where a file of this digest lies; empty when no catalog names it. Sources of two releases may differ, also in the size that they say. */
  sourcesOf(hex: string): readonly CatalogArtifact[];
  /** One of each digest, those of the newest catalog first. */
  named(): readonly CatalogArtifact[];
  envelope(hex: string): Buffer | undefined;
  root(pinned: string, version: number): Buffer | undefined;
  readonly size: number;
  /** Told after each change. */
  onChange(listener: () => void): void;
}

/** A catalog takes up to 1 MiB of memory. */
const MOST_CATALOGS = 512;

export function createCatalogs(): Catalogs {
  const catalogs = new Map<string, Catalog>();
  const listeners: (() => void)[] = [];
  let artifacts = new Map<string, CatalogArtifact[]>();

  function changed(): void {
    artifacts = new Map();
    for (const artifact of [...catalogs.values()].reverse().flatMap((catalog) => catalog.artifacts))
      artifacts.set(artifact.hex, [...(artifacts.get(artifact.hex) ?? []), artifact]);
    for (const listener of listeners) listener();
  }

  return {
    put(id, catalog) {
      catalogs.delete(id);
      catalogs.set(id, catalog);
      const [oldest] = catalogs.keys();
      if (catalogs.size > MOST_CATALOGS && oldest !== undefined) catalogs.delete(oldest);
      changed();
    },
    remove(id) {
      if (catalogs.delete(id)) changed();
    },
    sourcesOf: (hex) => artifacts.get(hex) ?? [],
    named: () => [...artifacts.values()].flatMap(([first]) => first ?? []),
    envelope: (hex) => [...catalogs.values()].find(({ release }) => release.hex === hex)?.release.envelope,
    root(pinned, version) {
      for (const { roots } of [...catalogs.values()].reverse()) {
        const file = roots?.hex === pinned ? roots.files.get(version) : undefined;
        if (file !== undefined) return file;
      }
      return undefined;
    },
    get size() {
      return catalogs.size;
    },
    onChange: (listener) => void listeners.push(listener),
  };
}
