// What the local broker does not let the gateway hear, by what it means: only the telemetry of a segment that is to be served is missed. Pure.

export type RefusedFilters = {
  /** Questions for last values: nobody may ask them here. */
  questions: boolean;
  /** What the devices of the gateway's own segment say: mostly there is none but the gateway. */
  own: boolean;
  /** Telemetry that is missing. */
  missing: string[];
};

export function sortRefused(filters: readonly string[], questions: string, own: readonly string[]): RefusedFilters {
  return {
    questions: filters.includes(questions),
    own: filters.some((filter) => own.includes(filter)),
    missing: filters.filter((filter) => filter !== questions && !own.includes(filter)),
  };
}
