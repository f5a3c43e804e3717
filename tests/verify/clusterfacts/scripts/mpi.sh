# A program is built, and run by srun on several nodes, by its user in the home on a login node.
# HOME partition nodes deadline

cd "$HOME" 2>/dev/null || { section broken; echo "cannot enter the home $HOME"; exit 0; }
directory=$(mktemp -d "$HOME/.verify-mpi-XXXXXX") || { section broken; echo "cannot write in the home $HOME"; exit 0; }
trap 'cd /; rm -rf "$directory"' EXIT
trap 'exit 143' HUP INT TERM
cd "$directory" || exit 0
cat >ring.c <<'PROGRAM'
#include <mpi.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    char name[MPI_MAX_PROCESSOR_NAME];
    int rank, size, length, one = 1, sum = 0;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Get_processor_name(name, &length);
    MPI_Allreduce(&one, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    printf("rank %d of %d on %s, counted %d\n", rank, size, name, sum);
    MPI_Finalize();
    return 0;
}
PROGRAM
run() { timeout "$deadline" srun --partition="$partition" --nodes="$nodes" --ntasks-per-node=1 --mem=200M --time=2 "$@"; }
section default
scontrol show config | sed -n 's/^MpiDefault *= *//p'
try build mpicc -o ring ring.c
try pmix run --mpi=pmix ./ring
try plain run ./ring
