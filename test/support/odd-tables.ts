import type { EngineName } from '../../src/engines/engine.js'

const wide = Array.from({ length: 200 }, (_, index) => `c${index} int`).join(', ')
const wideValues = Array.from({ length: 200 }, (_, index) => index).join(', ')
const bytes = Array.from({ length: 256 }, (_, index) => index.toString(16).padStart(2, '0')).join('')

/** Tables with one of everything that an export can lose. Tables `plain` and `odd values` are on every engine. */
const scripts: Record<EngineName, string> = {
  postgres: `
    create type mood as enum ('sad', 'o''k', 'with "quotes"');
    create domain cents as int check (value >= 0);
    create type pair as (x int, y text);
    create table plain (id int primary key, body text not null);
    insert into plain values (0, 'zero'), (1, 'first'), (2, 'second');
    create table "odd values" (
      id bigserial primary key, label text unique, body text, n numeric, b bytea, at timestamptz, plain_at timestamp, d date,
      tags text[], j json, jb jsonb, m mood, bits bit varying, p point, i interval, r int4range, ok boolean, f float8, f4 float4,
      big bigint, small smallint, c char(5), u uuid, net inet, price cents, comp pair, cash money, tsv tsvector, x int,
      twice int generated always as (small * 2) stored, always_id int generated always as identity,
      plain_id int references plain (id), parent bigint references "odd values" (id));
    insert into "odd values" (label, body, n, b, at, plain_at, d, tags, j, jb, m, bits, p, i, r, ok, f, f4, big, small, c, u, net,
      price, comp, cash, tsv, x, plain_id, parent) values
      ('full', E'tab\\t quote" back\\\\slash \\n \\r \\x01 \\b \\f \\v ünï 😀 \\u2028', 12345678901234567890.12345678901234567890,
       '\\x${bytes}', '2024-02-29 12:34:56.123456+02', '0044-03-15 01:02:03 BC', 'infinity', array['a,b', null, 'c"d', 'NULL', ''],
       E'{"b": 1.00,\\n "a": 12345678901234567890}', '{"a": 12345678901234567890.10}', 'with "quotes"', b'10110',
       '(1.1,-2.2)', '1 year -2 mons 3 days 04:05:06.789', '[1,10)', true, 0.1, 0.1, -9223372036854775808, -32768, 'ab ',
       '00000000-0000-4000-8000-000000000001', '10.0.0.0/8', 5, row(1, 'a,"b'), 1234.5, 'a fat cat', 3, 0, 1),
      ('infinite', '\\N', 'NaN', '', '-infinity', 'infinity', '-infinity', '{}', 'null', 'null', 'sad', b'', '(NaN,Infinity)',
       '-1 day', 'empty', false, '-infinity', 'NaN', 9223372036854775807, 1, '', null, '::1', 0, null, -0.01, '', null, 1, 1),
      ('empty', '', null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
       null, null, null, null, null, null, null),
      ('null', null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
       null, null, null, null, null, null, null),
      ('dot', '\\.', null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
       null, null, null, null, null, null, null);
    create table wide (${wide});
    insert into wide values (${wideValues});
    create schema "Other Schema";
    create table "Other Schema"."select" ("select" int, "a""b" text, "new
line" text, "__proto__" text, "${'ä'.repeat(20)}" text);
    insert into "Other Schema"."select" values (1, 'x', 'y', 'z', 'ü');
    create table nothing ();
    insert into nothing default values;
    create table parts (id int, at date) partition by range (id);
    create table parts_1 partition of parts for values from (0) to (10);
    create table parts_2 partition of parts for values from (10) to (20);
    insert into parts values (1, '2024-01-01'), (11, null);
    create table base (id int);
    create table "base..-2" (id int);
    create table child (more text) inherits (base);
    insert into base values (1);
    insert into child values (2, 'x');
    create function noisy() returns trigger language plpgsql as $$ begin new.body := 'touched by a trigger'; return new; end $$;
    create trigger noisy before insert on plain for each row execute function noisy();
    create view seen as select * from plain`,
  mysql: `
    create table plain (id int primary key, body varchar(100) not null);
    insert into plain values (0, 'zero'), (1, 'first'), (2, 'second');
    create table \`odd values\` (
      id bigint unsigned auto_increment primary key, label varchar(50) unique, body text, latin varchar(50) character set latin1,
      n decimal(40,20), b blob, fixed binary(8), at datetime(6), stamp timestamp(3) null, d date, t time(3), y year, j json,
      m enum('sad', 'o''k', 'with "quotes"'), s set('a', 'b'), bits bit(10), bits64 bit(64), g geometry, f float, dbl double,
      big bigint, ubig bigint unsigned, uint int unsigned, ok tinyint(1), small smallint, c char(5),
      twice int generated always as (small * 2) stored, plain_id int, parent bigint unsigned,
      foreign key (plain_id) references plain (id), foreign key (parent) references \`odd values\` (id));
    insert into \`odd values\` (label, body, latin, n, b, fixed, at, stamp, d, t, y, j, m, s, bits, bits64, g, f, dbl, big, ubig, uint, ok,
      small, c, plain_id, parent) values
      ('full', 'tab\\t quote" back\\\\slash \\n \\r \\b ünï 😀', 'caf\\u00e9é€', 12345678901234567890.12345678901234567891,
       X'${bytes}', X'00ff', '2024-02-29 12:34:56.123456', '2024-02-29 12:34:56.789', '9999-12-31', '-838:59:59', 1901,
       '{"a": 12345678901234567890.10}', 'with "quotes"', 'a,b', b'0000000101', b'1', ST_GeomFromText('POINT(1.5 -2.25)', 4326),
       16777215, 0.1, -9223372036854775808, 18446744073709551615, 4294967295, 1, -32768, 'ab', 0, 1),
      ('marks', '\\\\N', '', -0.00000000000000000001, '', X'', '1000-01-01 00:00:00', null, '1000-01-01', '00:00:00', 2155, '[]', 'sad', '',
       b'0', b'0', ST_GeomFromText('LINESTRING(0 0, 1 1)'), -1.17549435e-38, 1.7976931348623157e308, 9223372036854775807, 0, 0, 0, 1, '', 1, 1),
      ('empty', '', null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
       null, null, null, null),
      ('null', null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
       null, null, null, null);
    create table wide (${wide});
    insert into wide values (${wideValues});
    create table \`select\` (\`select\` int, \`a\`\`b"c\` text, \`new
line\` text, \`__proto__\` text, \`${'ä'.repeat(20)}\` text);
    insert into \`select\` values (1, 'x', 'y', 'z', 'ü');
    create table bytes (id int primary key, v varbinary(300), t text character set utf8mb3);
    insert into bytes values (1, X'ff00fe', 'ok');
    create trigger noisy before insert on plain for each row set new.body = 'touched by a trigger';
    create view seen as select * from plain;
    set session sql_mode = 'ANSI_QUOTES';
    create view "loose" as select id, body, count(*) as n from plain group by body;
    set session sql_mode = default`
}

/** The statements that make them, one by one. */
export const oddTables = (engine: EngineName): string[] => {
  return engine === 'postgres' ? [scripts.postgres] : scripts[engine].split(/;$/m)
}
