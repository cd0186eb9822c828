mandelbrot -q | cat
true
sleep 0.05
matrix | mandelbrot -q
crypt
paths
intcrash none
exit
