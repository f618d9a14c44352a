-- The function finds the partitioned tables by itself, also without this one, which goes with its model.
SELECT 1;
