// The door of the mud room: Manufacturer Usage Descriptions (RFC 8520) as SegmentPolicies.
import { type Draft as DraftPart, draftOf as draftPart, type Places as PlacesPart } from './draft.ts';
import { type Mud as MudPart, MAX_MUD_BYTES as maxBytes, MudRefused as Refused, readMud as readPart } from './read-mud.ts';

export type Draft = DraftPart;
export type Places = PlacesPart;
export type Mud = MudPart;
export const MudRefused = Refused;
export const MAX_MUD_BYTES = maxBytes;
export const readMud = readPart;
export const draftOf = draftPart;
