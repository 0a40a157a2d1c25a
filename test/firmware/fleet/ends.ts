// To which end each kind of device comes, whatever happens around it.

/** All others confirm. */
const ENDS: Readonly<Record<string, string>> = {
  'power cut in Testing': 'RolledBack',
  'an old release at the server': 'Rejected',
  'a statement without signatures': 'Rejected',
  'other hardware': 'Rejected',
  'flash full': 'Failed',
  'image altered': 'Failed',
  'self-test fails': 'RolledBack',
  'self-test fails, boot key': 'RolledBack',
  hangs: 'RolledBack',
  'boot loop': 'RolledBack',
  'offline for good': 'undefined',
  'offline after the restart': 'Lost',
  'says Confirmed on the old image': 'TimedOut',
  'says Confirmed in the same boot': 'TimedOut',
  'says Confirmed with the old counter': 'TimedOut',
  'says Confirmed for another directive': 'TimedOut',
  'forges, boot key registered': 'TimedOut',
  'resets its boot counter': 'Lost',
};

/** The result in its record; `undefined` as text: none. */
export const rightEndOf = (nature: string): string => ENDS[nature] ?? 'Confirmed';

/** TimedOut, Lost and away: nothing was heard that counts. */
export const isSilent = (result: string | undefined): boolean => ['undefined', 'TimedOut', 'Lost'].includes(String(result));
