// The tables of the store. What is in `message` is one message a key, in its last revision; the views show the fields of each type.

/** Rises with every change here that an older store does not have. */
export const VERSION = 1;

export const SCHEMA = `
create table store (version integer not null);
insert into store values (${VERSION});
create table message (
  site varchar not null, key varchar not null, rev integer not null, type varchar not null, segment varchar not null, device varchar not null,
  from_ms bigint not null, to_ms bigint not null, topic varchar not null, body varchar not null, heard_ms bigint not null,
  primary key (site, key)
);
create table erasure (site varchar not null, device varchar not null, before_ms bigint not null, primary key (site, device));
create table refusal (
  site varchar not null, code varchar not null, count bigint not null, first_ms bigint not null, last_ms bigint not null, primary key (site, code)
);
create table session (client_id varchar primary key, since_ms bigint not null);
create table notice (at_ms bigint not null, code varchar not null, says varchar not null);
`;
