-- Up Migration
-- Why, in a sentence. Each statement ends with ; at the end of its line. Bodies with such lines of their own,
-- as triggers and functions have, stand between two lines that say just: -- statement
-- All of it is one transaction. What cannot be in one needs this as the file's first line: -- saasctl: transaction=false


-- Down Migration
-- Takes back exactly what stands above, last thing first. "saasctl migration check" runs up, down and up.

